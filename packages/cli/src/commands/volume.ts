// `drover volume`: directories that outlive containers, and move with the one that has them.

import type { VolumeView } from '@drover/protocol'
import { DroverError } from '@drover/protocol/plain'
import type { Command } from 'commander'
import { action, defineCommand, defineGroup } from '../define-command.ts'
import { parseDeviceName } from '../device-words.ts'
import { followMany } from '../follow-many.ts'
import { parseName, parseNames } from '../names.ts'
import { renderTable } from '../output/table.ts'
import type { Session } from '../session.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'

export function register(program: Command): void {
  const group = defineGroup(program, 'volume', 'directories that outlive containers, and move with them')
  create(group)
  list(group)
  info(group)
  attach(group)
  detach(group)
  remove(group)
}

function create(group: Command): void {
  defineCommand(group, 'create', {
    summary: 'make a volume',
    description: `Makes an empty volume. It takes its place on the host of the first container that it is attached to; from then on it moves
with the container that has it, and stays where it is when none has it.`,
    examples: [['drover volume create pgdata --description "of the shop"', 'attach it next']],
  })
    .argument('<volume>', 'name for the volume', parseName)
    .option('--description <text>', 'for people')
    .action(
      action(async (session, name: string, { description }: { description?: string }) => {
        const request = description === undefined ? {} : { description }
        const operation = await (await session.client()).createVolume(name, request)
        session.output.result(operation, () => `volume ${name} was made; attach it: drover volume attach ${name} …`)
      }),
    )
}

function list(group: Command): void {
  defineCommand(group, 'ls', {
    summary: 'list volumes',
    examples: [['drover volume ls', 'where each is, and who has it']],
  })
    .alias('list')
    .option('-q, --quiet', 'names only, one a line')
    .action(
      action(async ({ output, client }, { quiet }: { quiet?: boolean }) => {
        const volumes = await (await client()).volumes()
        if (output.json) return output.document(volumes)
        if (quiet) return output.line(volumes.map(({ name }) => name).join('\n'))
        if (volumes.length === 0) return output.note('no volumes yet; make one: drover volume create NAME')
        output.line(
          renderTable(
            output.palette,
            [
              { header: 'NAME', value: ({ name }) => output.palette.bold(name) },
              { header: 'HOST', value: ({ host }) => host ?? '–' },
              { header: 'CONTAINER', value: ({ container }) => container ?? '–' },
              { header: 'PATH', value: (volume) => describePath(volume) ?? '–' },
              { header: 'DESCRIPTION', value: ({ description }) => description },
            ],
            volumes,
          ),
        )
      }),
    )
}

function info(group: Command): void {
  defineCommand(group, 'info', {
    summary: 'show a volume',
    examples: [['drover volume info pgdata', 'where it is, and who has it']],
  })
    .alias('show')
    .argument('<volume>', 'name of the volume', parseName)
    .action(
      action(async ({ output, client }, name: string) => {
        const volume = await (await client()).volume(name)
        output.result(volume, () => describe(volume))
      }),
    )
}

function describe(volume: VolumeView): string {
  const lines: [string, string | null][] = [
    ['name', volume.name],
    ['id', volume.id],
    ['host', volume.host ?? 'none yet: that of the first container that has it'],
    ['container', volume.container],
    ['path', describePath(volume)],
    ['description', volume.description || null],
  ]
  return lines.flatMap(([key, value]) => (value === null ? [] : [`${key.padEnd(12)}${value}`])).join('\n')
}

const describePath = ({ path, readonly }: VolumeView): string | null =>
  path === null || !readonly ? path : `${path} (read-only)`

interface AttachFlags extends WaitFlags {
  readonly?: boolean
  device?: string
}

function attach(group: Command): void {
  const command = defineCommand(group, 'attach', {
    summary: 'give a volume to a container, as it runs or not',
    description: `Mounts the volume in the container, at once if it runs and at each start. Users in there own what the same users own in
any other container that it is given to. One container has it at a time. A volume that another host has is refused: move the
container there first; from then on both move together.`,
    examples: [
      ['drover volume attach pgdata db /var/lib/postgresql', 'mounted at once'],
      ['drover volume attach site web /srv/www --readonly', 'to read'],
    ],
  })
    .argument('<volume>', 'name of the volume', parseName)
    .argument('<container>', 'name of the container', parseName)
    .argument('<path>', 'where in the container; made if it is not there')
    .option('--readonly', 'not to be written to')
    .option('--device <name>', 'name for the device; default: that of the volume', parseDeviceName)
  addWaitOptions(command).action(
    action(async (session, volume: string, container: string, path: string, flags: AttachFlags) => {
      const client = await session.client()
      const name = flags.device ?? parseDeviceName(volume.slice(0, longestDeviceName))
      const known = await client.container(container)
      if (known.spec.devices?.[name] !== undefined)
        throw new DroverError('NAME_TAKEN', `${container} has a device ${name}; name another one with --device`)
      const device = { type: 'volume' as const, volume, path, ...(flags.readonly ? { readonly: true } : {}) }
      return followMany(session, [container], flags, {
        doing: 'attaching',
        done: 'has it',
        begin: (each) => client.set(each, { devices: { [name]: device } }),
      })
    }),
  )
}

const longestDeviceName = 32

function detach(group: Command): void {
  const command = defineCommand(group, 'detach', {
    summary: 'take a volume away from the container that has it',
    description: `Unmounts it in the container. While a process in there has a file of it open, or works in it, that is refused: stop
the process, or the container. What is in it stays, on the host where it is.`,
    examples: [['drover volume detach pgdata', 'from whichever container has it']],
  }).argument('<volume>', 'name of the volume', parseName)
  addWaitOptions(command).action(action(takeAway))
}

async function takeAway(session: Session, name: string, flags: WaitFlags): Promise<number> {
  const client = await session.client()
  const { container, device } = await client.volume(name)
  if (container === null || device === null) {
    session.output.note(`no container has volume ${name}`)
    return 0
  }
  return followMany(session, [container], flags, {
    doing: 'detaching',
    done: 'has it no more',
    begin: (each) => client.set(each, { devices: { [device]: null } }),
  })
}

function remove(group: Command): void {
  defineCommand(group, 'delete', {
    summary: 'delete volumes that no container has, with all that is in them',
    examples: [['drover volume delete pgdata', 'refused as long as a container has it']],
  })
    .alias('rm')
    .argument('<volume...>', 'names of volumes', parseNames)
    .action(
      action(async (session, names: string[]) => {
        const client = await session.client()
        const operations = []
        for (const name of names) operations.push(await client.deleteVolume(name))
        session.output.result(operations, () => names.map((name) => `volume ${name} was deleted`).join('\n'))
      }),
    )
}

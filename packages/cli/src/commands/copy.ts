// `drover copy`: a new container with the disk of another one or of a snapshot of it, or one that is there, brought up to date.

import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { followToSuccess } from '../follow-operation.ts'
import { parseName } from '../names.ts'
import { parseSnapshotPlace, type SnapshotPlace } from '../snapshot-place.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'

interface CopyFlags extends WaitFlags {
  host?: string
  start: boolean
  refresh?: boolean
}

export function register(program: Command): void {
  const command = defineCommand(program, 'copy', {
    summary: 'make a new container with the disk of another one',
    description: `Makes a container with the disk, settings and limits of another one, or with the disk of a snapshot of it, here or on any
host. It gets its own name, machine id, addresses and uids; everything else on the disk stays, SSH host keys too. One that
runs is copied as it runs: it stands still only for what changed during the copying.

--refresh brings a copy that is there and stopped up to date: it gets the disk as it is now in place of its own, and keeps its name,
addresses, settings and snapshots. Where there is none of that name, it is made and left stopped.`,
    examples: [
      ['drover copy web-1 web-2', 'as it is now'],
      ['drover copy web-1/before-upgrade web-test', 'as it was at a snapshot'],
      ['drover copy web-1 web-2 --host b --no-start', 'on host b, left stopped'],
      ['drover copy web-1 spare --refresh', 'spare is as web-1 is now, ready to be started'],
    ],
  })
    .argument('<container>', 'name of a container, or NAME/SNAPSHOT', parseSnapshotPlace)
    .argument('<new>', 'name of the new one', parseName)
    .option('--host <host>', 'on this host; default: the scheduler chooses', parseName)
    .option('--no-start', 'leave it stopped')
    .option('--refresh', 'bring the one of that name, which is stopped, up to date; made if there is none')
  addWaitOptions(command).action(
    action(async (session, from: SnapshotPlace, name: string, flags: CopyFlags) => {
      const client = await session.client()
      const begun = await client.copy(from.container, {
        name,
        start: flags.start && !flags.refresh,
        ...(flags.refresh ? { refresh: true } : {}),
        ...(from.snapshot === null ? {} : { snapshot: from.snapshot }),
        ...(flags.host === undefined ? {} : { host: flags.host }),
      })
      const operation = await followToSuccess(session, begun, flags)
      session.output.result(operation, () =>
        operation.state === 'running'
          ? `copying to ${name}, operation ${operation.id}`
          : `${name} is a copy of ${from.container}${from.snapshot === null ? '' : `/${from.snapshot}`}`,
      )
    }),
  )
}

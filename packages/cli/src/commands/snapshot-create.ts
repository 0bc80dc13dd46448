// `drover snapshot create`: keeps a container's disk, or all of it, as it is now.

import type { Operation } from '@drover/protocol'
import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { followToSuccess } from '../follow-operation.ts'
import { parseName } from '../names.ts'
import { formatDuration, parseDuration } from '../output/durations.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'

interface CreateFlags extends WaitFlags {
  memory?: boolean
  expires?: number
}

export function register(group: Command): void {
  const command = defineCommand(group, 'create', {
    summary: 'take a snapshot of a container',
    description: `Keeps the disk of a container as it is at one instant. One that runs goes on while its files are copied and stands still only
for what changed meanwhile. With --memory its processes are kept too, of the same instant. Snapshots go along when it moves
and are deleted with it.`,
    examples: [
      ['drover snapshot create web-1', 'named by the time'],
      ['drover snapshot create web-1 before-upgrade --expires 7d', 'removed by itself after a week'],
      ['drover snapshot create web-1 warm --memory', 'with everything that runs in it'],
    ],
  })
    .argument('<container>', 'name of the container', parseName)
    .argument('[snapshot]', 'name of the snapshot; default: by the time', parseName)
    .option('--memory', 'with the running processes')
    .option('--expires <duration>', 'remove it by itself after this, e.g. 12h or 7d', parseDuration)
  addWaitOptions(command).action(
    action(async (session, container: string, name: string | undefined, flags: CreateFlags) => {
      const client = await session.client()
      const begun = await client.snapshot(container, {
        ...(name === undefined ? {} : { name }),
        ...(flags.memory ? { memory: true } : {}),
        ...(flags.expires === undefined ? {} : { expiresInMs: flags.expires }),
      })
      const operation = await followToSuccess(session, begun, flags)
      session.output.result(operation, () => describeTaken(operation))
    }),
  )
}

function describeTaken({ state, id, target, parameters }: Operation): string {
  if (state === 'running') return `taking snapshot ${parameters.snapshot} of ${target}, operation ${id}`
  const pausedMs = (parameters.figures as Record<string, number> | undefined)?.paused_ms
  const paused = pausedMs === undefined ? '' : ` · it stood still for ${formatDuration(pausedMs)}`
  return `snapshot ${parameters.snapshot} of ${target}${paused}`
}

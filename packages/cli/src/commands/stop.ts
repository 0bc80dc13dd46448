// `drover stop`: shuts containers down; their disks and places stay.

import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { followMany } from '../follow-many.ts'
import { parseNames } from '../names.ts'
import { parseDuration } from '../output/durations.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'

export function register(program: Command): void {
  const command = defineCommand(program, 'stop', {
    summary: 'shut containers down; disk, addresses and place stay',
    examples: [
      ['drover stop web-1', 'ask its init to shut down, and wait'],
      ['drover stop web-1 --grace 0s', 'kill it at once'],
    ],
  })
    .argument('<container...>', 'names of containers', parseNames)
    .option('--grace <duration>', 'time for its init to shut down before it is killed, e.g. 10s', parseDuration)
  addWaitOptions(command).action(
    action(async (session, names: string[], flags: WaitFlags & { grace?: number }) => {
      const client = await session.client()
      const request = flags.grace === undefined ? {} : { timeoutMs: flags.grace }
      return followMany(session, names, flags, {
        doing: 'stopping',
        done: 'stopped',
        begin: (name) => client.stop(name, request),
      })
    }),
  )
}

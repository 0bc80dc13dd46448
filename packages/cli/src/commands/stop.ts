// `drover stop`: shuts containers down; their disks and places stay.

import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { followMany } from '../follow-many.ts'
import { addGraceOptions, type GraceFlags, stopRequest } from '../grace-options.ts'
import { parseNames } from '../names.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'

export function register(program: Command): void {
  const command = defineCommand(program, 'stop', {
    summary: 'shut containers down; disk, addresses and place stay',
    examples: [
      ['drover stop web-1', 'ask its init to shut down, and wait'],
      ['drover stop web-1 --force', 'kill it at once'],
    ],
  }).argument('<container...>', 'names of containers', parseNames)
  addGraceOptions(command)
  addWaitOptions(command).action(
    action(async (session, names: string[], flags: WaitFlags & GraceFlags) => {
      const client = await session.client()
      const request = stopRequest(flags)
      return followMany(session, names, flags, {
        doing: 'stopping',
        done: 'stopped',
        begin: (name) => client.stop(name, request),
      })
    }),
  )
}

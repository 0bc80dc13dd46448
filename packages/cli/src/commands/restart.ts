// `drover restart`: shuts containers down and boots them again, on the host where they are.

import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { followMany } from '../follow-many.ts'
import { addGraceOptions, type GraceFlags, stopRequest } from '../grace-options.ts'
import { parseNames } from '../names.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'

export function register(program: Command): void {
  const command = defineCommand(program, 'restart', {
    summary: 'shut containers down and start them again',
    examples: [
      ['drover restart web-1', 'ask its init to shut down, and wait until it runs again'],
      ['drover restart web-1 web-2 --force', 'kill both at once, and start them'],
    ],
  }).argument('<container...>', 'names of containers', parseNames)
  addGraceOptions(command)
  addWaitOptions(command).action(
    action(async (session, names: string[], flags: WaitFlags & GraceFlags) => {
      const client = await session.client()
      const request = stopRequest(flags)
      return followMany(session, names, flags, {
        doing: 'restarting',
        done: 'restarted',
        begin: (name) => client.restart(name, request),
      })
    }),
  )
}

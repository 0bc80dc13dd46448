// `drover start`: boots stopped containers.

import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { followMany } from '../follow-many.ts'
import { parseNames } from '../names.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'

export function register(program: Command): void {
  const command = defineCommand(program, 'start', {
    summary: 'start stopped containers',
    examples: [
      ['drover start web-1', 'start one and wait until it runs'],
      ['drover start web-1 web-2 --no-wait', 'begin to start two'],
    ],
  }).argument('<container...>', 'names of containers', parseNames)
  addWaitOptions(command).action(
    action(async (session, names: string[], flags: WaitFlags) => {
      const client = await session.client()
      return followMany(session, names, flags, {
        doing: 'starting',
        done: 'started',
        begin: (name) => client.start(name),
      })
    }),
  )
}

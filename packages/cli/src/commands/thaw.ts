// `drover thaw`: lets frozen containers run on.

import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { followMany } from '../follow-many.ts'
import { parseNames } from '../names.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'

export function register(program: Command): void {
  const command = defineCommand(program, 'thaw', {
    summary: 'let frozen containers run on',
    examples: [['drover thaw web-1', 'go on from where it was frozen']],
  }).argument('<container...>', 'names of containers', parseNames)
  addWaitOptions(command).action(
    action(async (session, names: string[], flags: WaitFlags) => {
      const client = await session.client()
      return followMany(session, names, flags, {
        doing: 'thawing',
        done: 'thawed',
        begin: (name) => client.thaw(name),
      })
    }),
  )
}

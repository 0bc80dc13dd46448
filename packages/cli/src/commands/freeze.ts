// `drover freeze`: stops the processes of containers where they are.

import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { followMany } from '../follow-many.ts'
import { parseNames } from '../names.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'

export function register(program: Command): void {
  const command = defineCommand(program, 'freeze', {
    summary: 'freeze containers: no process of theirs runs until they are thawed',
    examples: [['drover freeze web-1', 'keep it in memory, use no cpu']],
  }).argument('<container...>', 'names of containers', parseNames)
  addWaitOptions(command).action(
    action(async (session, names: string[], flags: WaitFlags) => {
      const client = await session.client()
      return followMany(session, names, flags, {
        doing: 'freezing',
        done: 'frozen',
        begin: (name) => client.freeze(name),
      })
    }),
  )
}

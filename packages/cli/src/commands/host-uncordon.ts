// `drover host uncordon`: lets a cordoned host take containers again.

import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { followToSuccess } from '../follow-operation.ts'
import { parseName } from '../names.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'

export function register(group: Command): void {
  const command = defineCommand(group, 'uncordon', {
    summary: 'let a cordoned host take containers again',
    examples: [['drover host uncordon a', 'undo drover host cordon a']],
  }).argument('<host>', 'name of the host', parseName)
  addWaitOptions(command).action(
    action(async (session, name: string, flags: WaitFlags) => {
      const client = await session.client()
      const operation = await followToSuccess(session, await client.uncordon(name), flags)
      session.output.result(operation, () => `host ${name} takes containers again`)
    }),
  )
}

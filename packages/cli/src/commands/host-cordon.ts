// `drover host cordon`: lets a host take no new containers.

import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { followToSuccess } from '../follow-operation.ts'
import { parseName } from '../names.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'

export function register(group: Command): void {
  const command = defineCommand(group, 'cordon', {
    summary: 'let a host take no new containers; those on it stay',
    examples: [['drover host cordon a', 'nothing new comes, nothing moves away']],
  }).argument('<host>', 'name of the host', parseName)
  addWaitOptions(command).action(
    action(async (session, name: string, flags: WaitFlags) => {
      const client = await session.client()
      const operation = await followToSuccess(session, await client.cordon(name), flags)
      session.output.result(operation, () => `host ${name} takes no new containers`)
    }),
  )
}

// `drover host restore`: takes an emptied host back into service.

import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { followToSuccess } from '../follow-operation.ts'
import { parseName } from '../names.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'

export function register(group: Command): void {
  const command = defineCommand(group, 'restore', {
    summary: 'take an evacuated host back into service',
    examples: [['drover host restore a', 'it takes new containers again; none is moved back']],
  }).argument('<host>', 'name of the host', parseName)
  addWaitOptions(command).action(
    action(async (session, name: string, flags: WaitFlags) => {
      const client = await session.client()
      const operation = await followToSuccess(session, await client.restore(name), flags)
      session.output.result(operation, () => `host ${name} takes containers again`)
    }),
  )
}

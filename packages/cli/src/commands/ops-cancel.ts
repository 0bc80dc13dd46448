// `drover ops cancel`: asks an operation to end early. What can't be undone any more ends as it was meant to.

import { DroverError } from '@drover/protocol/plain'
import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { followOperation } from '../follow-operation.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'

export function register(group: Command): void {
  const command = defineCommand(group, 'cancel', {
    summary: 'cancel an operation that is under way',
    description:
      'Cancels an operation. A move is undone as long as its switch is not committed; an evacuation starts no more moves and\nlets those under way end.',
    examples: [['drover ops cancel op-3f2a91c45d07', 'its id is in drover ops ls']],
  }).argument('<id>', 'id of the operation')
  addWaitOptions(command).action(
    action(async (session, id: string, flags: WaitFlags) => {
      const client = await session.client()
      const operation = await followOperation(session, await client.cancel(id), flags)
      const { kind, target, state } = operation
      session.output.result(operation, () => {
        return state === 'running' ? `${kind} ${target}: cancel requested` : `${kind} ${target} ${state}`
      })
      if (state === 'done') {
        throw new DroverError('WRONG_STATE', `cancel ${kind} ${target}: it was done before it could be cancelled`)
      }
    }),
  )
}

// `drover ops wait`: waits for operations that were begun before.

import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { followToSuccess } from '../follow-operation.ts'
import { formatDuration, parseDuration } from '../output/durations.ts'

export function register(group: Command): void {
  defineCommand(group, 'wait', {
    summary: 'wait until an operation has ended',
    description: 'Waits until an operation has ended: exit code 0 when it is done, 1 when it failed or was cancelled.',
    examples: [
      ['drover ops wait op-3f2a91c45d07', 'with its progress'],
      ['drover ops wait op-3f2a91c45d07 --timeout 30s', 'give up waiting after 30 s, with 124'],
    ],
  })
    .argument('<id>', 'id of the operation')
    .option('--timeout <duration>', 'wait no longer than this, e.g. 30s; then exit with 124', parseDuration)
    .action(
      action(async (session, id: string, flags: { timeout?: number }) => {
        const begun = await (await session.client()).operation(id)
        const operation = await followToSuccess(session, begun, { wait: true, ...flags })
        session.output.result(operation, () => {
          const took =
            operation.endedAtMs === null ? '' : ` after ${formatDuration(operation.endedAtMs - operation.createdAtMs)}`
          return `${operation.kind} ${operation.target} done${took}`
        })
      }),
    )
}

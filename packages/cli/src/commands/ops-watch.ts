// `drover ops watch`: an operation as it goes, one line for each change; with --json one document for each.

import { operationFailure } from '@drover/client'
import type { Operation } from '@drover/protocol'
import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { describeProgress, followOperation } from '../follow-operation.ts'
import { describeTransfer } from '../output/migration.ts'

export function register(group: Command): void {
  defineCommand(group, 'watch', {
    summary: 'show each change of an operation until it ends',
    description: `Shows phase, bytes sent, rate, how fast the container writes its memory, rounds and the estimated blackout of a move as
they change. Exit code 0 when the operation is done, 1 when it failed or was cancelled.`,
    examples: [
      ['drover ops watch op-3f2a91c45d07', 'a line for each change'],
      ['drover ops watch op-3f2a91c45d07 --json', 'an operation for each change, for programs'],
    ],
    json: 'print one JSON document a line on stdout: the operation, at each change',
  })
    .argument('<id>', 'id of the operation')
    .action(
      action(async (session, id: string) => {
        const { output } = session
        const begun = await (await session.client()).operation(id)
        const show = (operation: Operation): true => {
          if (output.json) output.line(JSON.stringify(operation))
          else output.line(describeChange(operation))
          return true
        }
        if (begun.state !== 'running') show(begun)
        const ended = await followOperation(session, begun, { wait: true }, { onProgress: show })
        const failure = operationFailure(ended)
        if (failure) throw failure
      }),
    )
}

function describeChange(operation: Operation): string {
  const news = describeTransfer(operation)
  return [describeProgress(operation), ...(news === null ? [] : [news])].join(' · ')
}

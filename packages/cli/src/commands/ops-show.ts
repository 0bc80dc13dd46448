// `drover ops show`: everything about one operation, and those that it started.

import type { Operation } from '@drover/protocol'
import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { formatDuration, formatTime } from '../output/durations.ts'
import { describeTransfer, listFigures } from '../output/migration.ts'
import { type Palette, paintState } from '../output/palette.ts'
import { formatRate } from '../output/sizes.ts'
import { renderFields } from '../output/table.ts'
import { operationTable } from './ops-ls.ts'

export function register(group: Command): void {
  defineCommand(group, 'show', {
    summary: 'show everything about an operation',
    examples: [['drover ops show op-3f2a91c45d07', 'phases, error, figures, and what it started']],
  })
    .argument('<id>', 'id of the operation')
    .action(
      action(async ({ output, client }, id: string) => {
        const api = await client()
        const [operation, all] = await Promise.all([api.operation(id), api.operations()])
        const children = all.filter(({ parent }) => parent === id)
        output.result({ ...operation, children }, () => {
          const fields = describeOperation(output.palette, operation)
          return children.length === 0 ? fields : `${fields}\n\n${operationTable(output.palette, children, Date.now())}`
        })
      }),
    )
}

/** How its user wants it done. */
function describeTerms({ migration }: Operation): string | null {
  const { strategy, maxBlackoutMs, bandwidthBytesPerS, hostBytesPerS } = migration?.terms ?? {}
  const parts = [
    ...(strategy === undefined ? [] : [strategy]),
    ...(maxBlackoutMs === undefined ? [] : [`blackout at most ${formatDuration(maxBlackoutMs)}`]),
    ...(bandwidthBytesPerS === undefined ? [] : [`at most ${formatRate(bandwidthBytesPerS)}`]),
    ...(hostBytesPerS === undefined ? [] : [`${formatRate(hostBytesPerS)} for each host`]),
  ]
  return parts.length === 0 ? null : parts.join(' · ')
}

export function describeOperation(palette: Palette, operation: Operation): string {
  const { progress, migration, error, createdAtMs, endedAtMs } = operation
  const took = endedAtMs === null ? '' : ` · took ${formatDuration(endedAtMs - createdAtMs)}`
  const fields = renderFields(palette, [
    ['operation', operation.id],
    ['what', `${operation.kind} ${palette.bold(operation.target)}`],
    ['state', `${paintState(palette, operation.state)}${operation.cancelRequested ? ' · cancel requested' : ''}`],
    ['phase', operation.phase],
    ['progress', `${progress.done} of ${progress.total} · ${progress.message}`],
    ['transfer', describeTransfer(operation)],
    ['limits', describeTerms(operation)],
    ['error', error ? `${palette.red(error.code)}: ${error.message}` : null],
    ['began', `${formatTime(createdAtMs)}${took}`],
    ['part of', operation.parent],
    ['route', migration ? `${migration.source} → ${migration.destination} (${migration.mode})` : null],
  ])
  const figures = migration ? listFigures(migration.figures) : []
  if (figures.length === 0) return fields
  return `${fields}\n\n${renderFields(palette, figures)}`
}

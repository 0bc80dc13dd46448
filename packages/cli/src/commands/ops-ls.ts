// `drover ops ls`: the operations under way, and the latest that ended.

import type { Operation } from '@drover/protocol'
import { type Command, Option } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { bar, shareOf } from '../output/bars.ts'
import { formatAge, formatDuration } from '../output/durations.ts'
import { type Palette, paintState } from '../output/palette.ts'
import { renderTable } from '../output/table.ts'

interface ListFlags {
  all?: boolean
  state?: string
  kind?: string
}

/** Ended ones that are shown without --all. */
const recentCount = 20

export function register(group: Command): void {
  defineCommand(group, 'ls', {
    summary: 'list operations, the latest last',
    examples: [
      ['drover ops ls', `those under way and the last ${recentCount} that ended`],
      ['drover ops ls --state failed --all', 'all that failed'],
      ['drover ops ls --kind move --json', 'for programs'],
    ],
  })
    .alias('list')
    .option('-a, --all', 'all that the cluster remembers')
    .addOption(
      new Option('--state <state>', 'only those in this state').choices(['running', 'done', 'failed', 'cancelled']),
    )
    .option('--kind <kind>', 'only of this kind: launch, move, evacuate, …')
    .action(
      action(async ({ output, client }, flags: ListFlags) => {
        const operations = select(await (await client()).operations(), flags)
        if (output.json) return output.document(operations)
        if (operations.length === 0) return output.note('no operations')
        output.line(operationTable(output.palette, operations, Date.now()))
      }),
    )
}

export function select(operations: readonly Operation[], flags: ListFlags): Operation[] {
  const matching = operations
    .filter(({ state, kind }) => (flags.state ?? state) === state && (flags.kind ?? kind) === kind)
    .sort((left, right) => left.createdAtMs - right.createdAtMs)
  if (flags.all) return matching
  const ended = matching.filter(({ state }) => state !== 'running')
  const shown = new Set(ended.slice(-recentCount))
  return matching.filter((operation) => operation.state === 'running' || shown.has(operation))
}

export function operationTable(palette: Palette, operations: readonly Operation[], nowMs: number): string {
  return renderTable(
    palette,
    [
      { header: 'ID', value: ({ id }) => palette.dim(id) },
      { header: 'WHAT', value: ({ kind, target }) => `${kind} ${palette.bold(target)}` },
      { header: 'STATE', value: (operation) => describeState(palette, operation) },
      { header: 'BEGAN', align: 'right', value: ({ createdAtMs }) => `${formatAge(createdAtMs, nowMs)} ago` },
      { header: 'TOOK', align: 'right', value: (operation) => duration(operation) },
      { header: 'MESSAGE', value: ({ error, progress }) => (error ? palette.red(error.message) : progress.message) },
    ],
    operations,
  )
}

function describeState(palette: Palette, operation: Operation): string {
  const { state, phase, progress, cancelRequested } = operation
  if (state !== 'running') return paintState(palette, state)
  const counted =
    progress.total > 1 ? `${bar(shareOf(progress.done, progress.total), 10)} ${progress.done}/${progress.total} ` : ''
  return `${counted}${palette.cyan(phase)}${cancelRequested ? palette.yellow(' (cancelling)') : ''}`
}

function duration({ createdAtMs, endedAtMs }: Operation): string {
  return endedAtMs === null ? '' : formatDuration(endedAtMs - createdAtMs)
}

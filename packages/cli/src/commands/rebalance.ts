// `drover rebalance`: which containers should be elsewhere, and moving them; by hand, or by the cluster itself.

import type { RebalanceMoveView, RebalancePlanView } from '@drover/protocol'
import type { Command } from 'commander'
import { action, defineCommand, defineGroup } from '../define-command.ts'
import { followToSuccess } from '../follow-operation.ts'
import { formatDuration } from '../output/durations.ts'
import type { Palette } from '../output/palette.ts'
import { formatBytes, formatRate, percent } from '../output/sizes.ts'
import { renderTable } from '../output/table.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'
import * as auto from './rebalance-auto.ts'

export function register(program: Command): void {
  const group = defineGroup(program, 'rebalance', 'move containers to where they are better off')
  plan(group)
  apply(group)
  auto.register(group)
}

function plan(group: Command): void {
  defineCommand(group, 'plan', {
    summary: 'show which containers should be elsewhere, and why; move none',
    description: `Shows which containers should be elsewhere, from what they were measured to use: hosts short of memory, placement groups
that have drifted, hosts that are too hot, and, in pools that balance or spread, unevenness. Each move has its reason, what
it gains (the gap between two hosts that it closes) and what it costs. Nothing is moved.`,
    examples: [
      ['drover rebalance plan', 'what apply would do now'],
      ['drover rebalance plan --json', 'for programs: moves, held, stuck, imbalance before and after'],
    ],
  }).action(
    action(async ({ output, client }) => {
      const planned = await (await client()).planRebalance()
      output.result(planned, () => describeRebalancePlan(output.palette, planned))
    }),
  )
}

function apply(group: Command): void {
  const command = defineCommand(group, 'apply', {
    summary: 'plan now, and carry the plan out',
    description:
      'Plans as drover rebalance plan does, and makes the moves, live. Quiet hours and budgets are for automatic rebalancing\nonly; containers that were moved not long ago rest all the same.',
    examples: [['drover rebalance apply', 'moves what should be elsewhere']],
  })
  addWaitOptions(command).action(
    action(async (session, flags: WaitFlags) => {
      const client = await session.client()
      const operation = await followToSuccess(session, await client.rebalance(), flags)
      session.output.result(operation, () => operation.progress.message)
    }),
  )
}

export function describeRebalancePlan(palette: Palette, plan: RebalancePlanView): string {
  const { moves, held, stuck, imbalanceBefore, imbalanceAfter, verdict } = plan
  const even = `imbalance ${percent(imbalanceBefore)}`
  return [
    ...(moves.length === 0
      ? [`${even}; nothing to move: ${verdict.toLowerCase().replaceAll('_', ' ')}`]
      : [movesTable(palette, moves), `${even} → ${percent(imbalanceAfter)} with ${moves.length} moves`]),
    ...held.map(({ move, why }) => palette.yellow(`held: ${move.container} to ${move.to} (${why}): ${move.detail}`)),
    ...stuck.map(({ container, detail }) => `${palette.red('✗')} ${container}: ${detail}`),
  ].join('\n')
}

function movesTable(palette: Palette, moves: readonly RebalanceMoveView[]): string {
  return renderTable(
    palette,
    [
      { header: 'CONTAINER', value: ({ container }) => container },
      { header: 'FROM', value: ({ from }) => from },
      { header: 'TO', value: ({ to }) => to },
      { header: 'REASON', value: ({ reason, urgent }) => (urgent ? palette.red(reason) : reason) },
      { header: 'GAIN', align: 'right', value: ({ gain }) => (gain === 0 ? '–' : percent(gain)) },
      { header: 'BLACKOUT', align: 'right', value: ({ blackoutMs }) => `~${formatDuration(blackoutMs)}` },
      { header: 'SENT', align: 'right', value: ({ bytes }) => `~${formatBytes(bytes)}` },
      { header: 'WRITES', align: 'right', value: ({ dirtyBytesPerS: rate }) => (rate ? formatRate(rate) : '–') },
      { header: '', value: ({ detail }) => palette.dim(detail) },
    ],
    moves,
  )
}

// A plan of rebalancing that is kept: the history, and where moves are to be made, the operation whose planner makes them.

import type { Operation } from '@drover/protocol'
import type { Draft } from './draft.ts'
import type { EntryOf } from './entries.ts'
import { beginOperation, begunBefore, endOperation } from './operations.ts'

/** Kept plans beyond this are forgotten, the oldest first. */
export const maxRebalances = 200
/** What all rebalancing operations are about. */
export const rebalanceTarget = 'cluster'

export function applyRebalancePlanned(draft: Draft, entry: EntryOf<'RebalancePlanned'>): Operation | null {
  const { operation: id, trigger, active, plan, moves, parallel } = entry
  const before = id === null ? undefined : begunBefore(draft, id, 'rebalance', rebalanceTarget)
  if (before) return before
  for (const running of draft.state.running) {
    if (id === null || draft.state.tables.operations.get(running)!.kind !== 'rebalance') continue
    draft.refuse('BUSY', `rebalance: operation ${running} is under way; wait for it or cancel it`, {
      operation: running,
    })
  }
  forgetOld(draft)
  const record = { index: draft.index, atMs: draft.atMs, trigger, operation: id, active, plan }
  draft.write({ table: 'rebalances', key: String(draft.index), value: record })
  draft.event('rebalance.planned', rebalanceTarget, describe(entry), id)
  if (id === null) return null
  const operation = beginOperation(draft, {
    id,
    kind: 'rebalance',
    target: rebalanceTarget,
    phase: 'moving',
    message: `${moves.length} containers to move`,
    total: moves.length,
    parameters: { plan: moves, parallel, trigger },
  })
  if (moves.length > 0) return operation
  return endOperation(draft, operation, { state: 'done', message: `nothing to move: ${plan.verdict}`, error: null })
}

function describe({ operation, plan, moves }: EntryOf<'RebalancePlanned'>): string {
  const share = (value: number) => `${(100 * value).toFixed(1)} %`
  const even = `imbalance ${share(plan.imbalanceBefore)}`
  const held = plan.held.length === 0 ? '' : `, ${plan.held.length} held (${plan.held[0]!.why})`
  if (plan.moves.length === 0) return `${even}, nothing to move: ${plan.verdict}${held}`
  const would = operation === null ? 'would move' : 'moves'
  const names = (moves.length > 0 ? moves : plan.moves.map(({ container }) => ({ name: container }))).map(
    ({ name }) => name,
  )
  return `${even} → ${share(plan.imbalanceAfter)}: ${would} ${names.join(', ')}${held}`
}

function forgetOld(draft: Draft): void {
  const { rebalances } = draft.state.tables
  if (rebalances.size < maxRebalances) return
  const oldest = [...rebalances].sort(([, left], [, right]) => left.index - right.index)
  for (const [key] of oldest.slice(0, rebalances.size - maxRebalances + 1)) {
    draft.write({ table: 'rebalances', key, value: null })
  }
}

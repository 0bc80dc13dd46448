// Moves that were begun, kept for longer than their operations: rebalancing reads its cooldowns and budgets off them, so that a new
// leader is bound by what the old one did. Failed ones count too, or they would be tried again at once.

import type { Draft } from './draft.ts'
import type { EntryOf } from './entries.ts'
import { isConsolidation } from './planner-consolidate.ts'
import type { StoredContainer } from './state.ts'

/** More than two days of a budget of a hundred an hour. */
export const maxBegunMoves = 5000
/** How many are forgotten at once, so that sorting them is rare. */
const forgetAtOnce = 500

export function rememberMove(draft: Draft, entry: EntryOf<'MoveStarted'>, container: StoredContainer): void {
  const { begunMoves, operations } = draft.state.tables
  const parent = entry.parent === null ? undefined : operations.get(entry.parent)
  const own = parent !== undefined && (parent.kind === 'rebalance' || isConsolidation(parent))
  // Who empties a host and brings back what was on it doesn't want it to rest between.
  if (parent && !own) return
  if (begunMoves.size >= maxBegunMoves) {
    const oldest = [...begunMoves].sort(
      ([left, before], [right, after]) => before.atMs - after.atMs || (left < right ? -1 : 1),
    )
    for (const [key] of oldest.slice(0, forgetAtOnce)) draft.write({ table: 'begunMoves', key, value: null })
  }
  draft.write({
    table: 'begunMoves',
    key: entry.operation,
    value: {
      container: container.name,
      from: container.host,
      to: entry.destination,
      atMs: draft.atMs,
      urgent: entry.urgent === true,
      rebalancing: own,
      reason: entry.reason ?? 'asked for',
    },
  })
}

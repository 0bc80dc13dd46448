// Bringing back what an evacuation moved away: each container that is still elsewhere, in the order in which it left. What the host
// has no room for any more stays where it is, and is named.

import type { Operation } from '@drover/protocol'
import type { Entry } from './entries.ts'
import { type MoveSetRules, progressEntry, progressOfMoves, startMoves, unhurried, whyStayed } from './move-set.ts'
import type { PlanContext } from './planner.ts'

const rules: MoveSetRules = { maxTries: 2, retarget: false }

export function planBringBack(context: PlanContext, operation: Operation): Entry[] {
  const moves = progressOfMoves(context.state, operation, rules)
  const done = moves.filter(({ status }) => status === 'gone').length
  const said = `${done} of ${moves.length} containers are back on ${operation.target}`
  const starts = operation.cancelRequested ? [] : startMoves(context, operation, moves, rules)
  const progress = progressEntry(context, operation, done, moves.length, said)
  if (starts.length > 0 || moves.some(({ status }) => status === 'moving'))
    return [...unhurried(context, operation, progress), ...starts]
  const base = { type: 'OperationEnded', atMs: context.nowMs, operation: operation.id, figures: {} } as const
  if (operation.cancelRequested) {
    const error = { code: 'CANCELLED', message: `restore host ${operation.target}: cancelled; ${said}` }
    return [...progress, { ...base, state: 'cancelled', message: error.message, error }]
  }
  const stayed = moves.filter(({ status }) => status !== 'gone')
  if (stayed.length === 0) return [...progress, { ...base, state: 'done', message: said, error: null }]
  const reasons = stayed.map(
    (each) => `${each.move.name} (${each.tries.length > 0 ? whyStayed(each) : 'no room for it'})`,
  )
  const message = `restore host ${operation.target}: it takes containers again; ${said}; not: ${reasons.join(', ')}`
  return [...progress, { ...base, state: 'failed', message, error: { code: 'NO_CAPACITY', message } }]
}

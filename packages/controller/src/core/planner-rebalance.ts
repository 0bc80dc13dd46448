// Automatic rebalancing on the leader: now and then a plan; what it begins, and when its verdict changes, is committed. And carrying
// out a plan that was begun, by hand or not: each move once, where it was planned to go, or not at all.

import type { Operation, RebalanceRecord } from '@drover/protocol'
import type { Entry } from './entries.ts'
import { type MoveSetRules, progressEntry, progressOfMoves, startMoves, unhurried, whyStayed } from './move-set.ts'
import type { PlanContext } from './planner.ts'
import {
  defaultIntervalS,
  lastRecord,
  maxConcurrentMoves,
  type PlannedRebalance,
  plannedMovesOf,
  rebalancePlan,
} from './rebalance-plan.ts'
import { policyOf } from './scheduling-policy.ts'
import type { ClusterState } from './state.ts'

const rules: MoveSetRules = { maxTries: 1, retarget: false }
/** A leader that has just begun to listen has measured nothing yet. */
const settleMs = 60_000

/** The caller asks every `rebalanceIntervalMs`, or at once when a host is short of memory. */
export function planRebalance(context: PlanContext): Entry[] {
  const { state, observed, nowMs } = context
  const { mode = 'off' } = policyOf(state).rebalance
  if (mode === 'off' || nowMs - observed.sinceMs < Math.min(settleMs, 3 * rebalanceIntervalMs(state))) return []
  if (operationUnderWay(state) !== null) return []
  const planned = rebalancePlan(state, observed, nowMs, 'auto')
  const dryRun = mode === 'dry-run'
  if (!worthKeeping(planned, lastRecord(state), dryRun)) return []
  return [rebalanceEntry(context, planned, { trigger: 'auto', operation: dryRun ? null : undefined })]
}

export const rebalanceIntervalMs = (state: ClusterState): number =>
  1000 * (policyOf(state).rebalance.intervalS ?? defaultIntervalS)

/** `operation`: its id; null: none; undefined: one of its own when there is something to move. */
export function rebalanceEntry(
  { state, nowMs, seed }: Pick<PlanContext, 'state' | 'nowMs' | 'seed'>,
  { view, active }: PlannedRebalance,
  { trigger, operation }: { trigger: RebalanceRecord['trigger']; operation: string | null | undefined },
): Entry {
  const own = view.moves.length > 0 ? `rebalance-${nowMs.toString(36)}-${seed.toString(36)}` : null
  return {
    type: 'RebalancePlanned',
    atMs: nowMs,
    operation: operation === undefined ? own : operation,
    trigger,
    active,
    plan: view,
    moves: plannedMovesOf(state, view),
    parallel: maxConcurrentMoves(state),
  }
}

export function operationUnderWay(state: ClusterState): string | null {
  for (const id of state.running) if (state.tables.operations.get(id)!.kind === 'rebalance') return id
  return null
}

export function planRebalanceOperation(context: PlanContext, operation: Operation): Entry[] {
  const moves = progressOfMoves(context.state, operation, rules)
  const done = moves.filter(({ status }) => status === 'gone').length
  const said = `${done} of ${moves.length} moved`
  const starts = operation.cancelRequested ? [] : startMoves(context, operation, moves, rules)
  const progress = progressEntry(context, operation, done, moves.length, said)
  if (starts.length > 0 || moves.some(({ status }) => status === 'moving'))
    return [...unhurried(context, operation, progress), ...starts]
  const base = { type: 'OperationEnded', atMs: context.nowMs, operation: operation.id, figures: {} } as const
  if (operation.cancelRequested) {
    const error = { code: 'CANCELLED', message: `rebalance: cancelled; ${said}` }
    return [...progress, { ...base, state: 'cancelled', message: error.message, error }]
  }
  const stayed = moves.filter(({ status }) => status !== 'gone')
  if (stayed.length === 0) return [...progress, { ...base, state: 'done', message: said, error: null }]
  const why = stayed.map(
    (each) => `${each.move.name} (${each.tries.length > 0 ? whyStayed(each) : 'it no longer fits there'})`,
  )
  const message = `rebalance: ${said}; not: ${why.join(', ')}`
  return [...progress, { ...base, state: 'failed', message, error: { code: 'NO_CAPACITY', message } }]
}

/** Something to do that isn't said already, or another verdict. */
function worthKeeping({ view, active }: PlannedRebalance, last: RebalanceRecord | null, dryRun: boolean): boolean {
  if (view.moves.length > 0 && !(dryRun && last?.operation === null && sameMoves(view, last.plan))) return true
  return view.verdict !== (last?.plan.verdict ?? 'BALANCED') || active !== (last?.active ?? false)
}

function sameMoves(left: RebalanceRecord['plan'], right: RebalanceRecord['plan']): boolean {
  const routes = ({ moves }: RebalanceRecord['plan']) => moves.map(({ container, to }) => `${container} ${to}`).join()
  return routes(left) === routes(right)
}

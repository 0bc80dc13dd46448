// Emptying a host: plan all its containers together, then carry the plan out, `parallel` at once, each by a move operation of its
// own. A container whose move failed is tried on another host. What comes to the host meanwhile is planned as well.

import { type Operation, silentAfterMs } from '@drover/protocol'
import type { Entry, PlannedMove } from './entries.ts'
import { type EvacuationWishes, evacuationPlan, plannedOf } from './evacuation-plan.ts'
import {
  isHurried,
  type MoveProgress,
  type MoveSetRules,
  placesOf,
  plannedMoves,
  progressEntry,
  progressOfMoves,
  startMoves,
  unhurried,
  whyStayed,
} from './move-set.ts'
import { isReady } from './observed.ts'
import type { PlanContext } from './planner.ts'
import { planLostEvacuation } from './planner-heal.ts'
import { type ClusterState, runningOperations, type StoredContainer } from './state.ts'

const rules: MoveSetRules = { maxTries: 3, retarget: true }
/** A host that is silent now may be back soon (its agent restarts); after this it isn't waited for. */
export const missingHostGraceMs = 15_000

export function planEvacuation(context: PlanContext, operation: Operation): Entry[] {
  const healing = planLostEvacuation(context, operation)
  if (healing !== null) return healing
  const planned = plannedMoves(operation)
  if (planned !== null && allPlacesTaken(context, operation)) return []
  const unplanned = unplannedOn(context.state, operation.target, planned)
  if (!operation.cancelRequested && (planned === null || unplanned.length > 0)) {
    // A new leader has not heard everybody yet: a plan without them would be a bad one.
    if (hostsMissing(context) && context.nowMs - context.observed.sinceMs < silentAfterMs) return []
    return [planTogether(context, operation, unplanned)]
  }
  const moves = progressOfMoves(context.state, operation, rules)
  const under = moves.filter(({ status }) => status === 'moving').length
  const done = moves.filter(({ status }) => status === 'gone' || status === 'kept').length
  const late = isLate(context, operation)
  const starts = operation.cancelRequested || late ? [] : startMoves(context, operation, moves, rules)
  const progress = progressEntry(context, operation, done, moves.length, describe(context, operation, moves, done))
  const waiting = moves.some(({ status }) => status === 'waiting')
  if (starts.length > 0 || under > 0 || (waiting && !late && mayStillGo(context, operation, moves))) {
    return [...unhurried(context, operation, progress), ...starts]
  }
  return [...progress, ending(context, operation, moves, late && waiting)]
}

/**
 * Then there is nothing to begin or to end, and once in a while to tell: with hundreds of containers in the plan it isn't gone through with every entry
 * and report of their moves.
 */
function allPlacesTaken(context: PlanContext, operation: Operation): boolean {
  if (operation.cancelRequested || !isHurried(context, operation)) return false
  const under = runningOperations(context.state).filter(({ parent }) => parent === operation.id)
  return under.length >= placesOf(operation)
}

/** No host takes those that wait, now. It is worth waiting while a host is missing, but not for ever. */
function mayStillGo(context: PlanContext, operation: Operation, moves: readonly MoveProgress[]): boolean {
  if (operation.cancelRequested || !hostsMissing(context)) return false
  const changes = moves.flatMap(({ tries }) => tries.map(({ updatedAtMs }) => updatedAtMs))
  const sinceMs = Math.max(operation.updatedAtMs, context.observed.sinceMs, ...changes)
  return context.nowMs - sinceMs < missingHostGraceMs
}

const hostsMissing = ({ state, observed, nowMs }: PlanContext): boolean =>
  [...state.tables.hosts.values()].some(({ name, cordoned }) => !cordoned && !isReady(observed, name, nowMs))

/** Its deadline is over: what is under way ends, and nothing new begins. */
function isLate({ nowMs }: PlanContext, operation: Operation): boolean {
  const { deadlineMs } = operation.parameters
  return typeof deadlineMs === 'number' && nowMs - operation.createdAtMs > deadlineMs
}

function planTogether(context: PlanContext, operation: Operation, containers: StoredContainer[]): Entry {
  const { state, observed, nowMs } = context
  const wishes = operation.parameters as EvacuationWishes
  const ids = new Set(containers.map(({ id }) => id))
  const plan = evacuationPlan(state, observed, nowMs, [operation.target], wishes, ids)
  return {
    type: 'EvacuationPlanned',
    atMs: nowMs,
    operation: operation.id,
    plan: plannedOf(state, plan),
    etaMs: plan.etaMs,
  }
}

/** `12 of 200 containers have left a; about 40 s to go` */
function describe({ nowMs }: PlanContext, operation: Operation, moves: readonly MoveProgress[], done: number): string {
  const said = count(operation, moves, done)
  const left = moves.length - done
  const { phaseSinceMs, etaMs } = operation.parameters
  const lastedMs = nowMs - Number(phaseSinceMs ?? operation.createdAtMs)
  // Its own pace, once there is one; until then the plan's.
  const perMove = done > 0 ? lastedMs / done : Number(etaMs ?? 0) / Math.max(1, moves.length)
  return left === 0 || perMove <= 0
    ? said
    : `${said}; about ${Math.max(1, Math.round((left * perMove) / 1000))} s to go`
}

const count = (operation: Operation, moves: readonly MoveProgress[], done: number): string =>
  `${done} of ${moves.length} containers have left ${operation.target}`

function ending({ nowMs }: PlanContext, operation: Operation, moves: readonly MoveProgress[], late: boolean): Entry {
  const stayed = moves.filter(({ status }) => status !== 'gone' && status !== 'kept')
  const kept = moves.filter(({ status }) => status === 'kept').length
  const base = { type: 'OperationEnded', atMs: nowMs, operation: operation.id, figures: {} } as const
  const said =
    count(operation, moves, moves.length - stayed.length - kept) + (kept > 0 ? `; ${kept} stay, as wished` : '')
  if (operation.cancelRequested) {
    const error = { code: 'CANCELLED', message: `evacuate host ${operation.target}: cancelled; ${said}` }
    return { ...base, state: 'cancelled', message: error.message, error }
  }
  if (stayed.length === 0) return { ...base, state: 'done', message: said, error: null }
  const reasons = stayed.map((each) => `${each.move.name} (${whyStayed(each)})`)
  const over = late ? `its deadline of ${Number(operation.parameters.deadlineMs) / 1000} s is over; ` : ''
  const message = `evacuate host ${operation.target}: ${over}${said}; not: ${reasons.join(', ')}`
  return { ...base, state: 'failed', message, error: { code: late ? 'TIMED_OUT' : 'NO_CAPACITY', message } }
}

function unplannedOn(state: ClusterState, host: string, planned: readonly PlannedMove[] | null): StoredContainer[] {
  const known = new Set(planned?.map(({ container }) => container))
  const unplanned: StoredContainer[] = []
  for (const container of state.tables.containers.values()) {
    if (container.host === host && !container.deleting && !known.has(container.id)) unplanned.push(container)
  }
  return unplanned.sort((left, right) => left.identity.serial - right.identity.serial)
}

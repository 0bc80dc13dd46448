// Emptying a host: plan all its containers together, then move them, `parallel` at once, each by a move operation of its own.
// A container whose move failed is tried on another host. Everything is read off the committed moves, so a new leader goes
// on where the old one was.

import { type Operation, silentAfterMs } from '@drover/protocol'
import { type Demand, place, placeAll } from '@drover/scheduler'
import { type PlannedMove, plannedMoves } from './apply-evacuation.ts'
import { clusterSnapshot, type PendingPlacement, pendingOf } from './cluster-snapshot.ts'
import { demandOf } from './demand.ts'
import type { Entry } from './entries.ts'
import { isReady } from './observed.ts'
import type { PlanContext } from './planner.ts'
import type { ClusterState, StoredContainer } from './state.ts'

/** How often the move of one container is tried before it counts as one that could not go. */
export const maxTries = 3
/** A host that is silent now may be back soon (its agent restarts); after this it isn't waited for. */
export const missingHostGraceMs = 15_000

export function planEvacuation(context: PlanContext, operation: Operation): Entry[] {
  const planned = plannedMoves(operation)
  const unplanned = containersOn(context.state, operation.target).filter(
    ({ id, deleting }) => !deleting && !planned?.some(({ container }) => container === id),
  )
  if (!operation.cancelRequested && (planned === null || unplanned.length > 0)) {
    // A new leader has not heard everybody yet: a plan without them would be a bad one.
    if (hostsMissing(context) && context.nowMs - context.observed.sinceMs < silentAfterMs) return []
    return [planTogether(context, operation, unplanned)]
  }
  const moves = (planned ?? []).map((move) => progressOf(context.state, operation, move))
  const under = moves.filter(({ status }) => status === 'moving')
  const done = moves.filter(({ status }) => status === 'gone').length
  const starts = operation.cancelRequested ? [] : startMoves(context, operation, moves, under.length)
  if (starts.length > 0) return [...progress(context, operation, done, moves.length), ...starts]
  const waiting = moves.filter(({ status }) => status === 'waiting')
  if (under.length > 0 || (waiting.length > 0 && mayStillGo(context, operation, moves))) {
    return progress(context, operation, done, moves.length)
  }
  return [...progress(context, operation, done, moves.length), ending(context, operation, moves, done)]
}

type Status =
  /** Not on the host any more. */
  | 'gone'
  /** Its move, or another operation on it, is under way. */
  | 'moving'
  | 'waiting'
  /** Tried often enough. */
  | 'stuck'

interface MoveProgress {
  move: PlannedMove
  container: StoredContainer | undefined
  tries: Operation[]
  status: Status
}

function progressOf(state: ClusterState, operation: Operation, move: PlannedMove): MoveProgress {
  const container = state.tables.containers.get(move.container)
  const tries = childrenOf(state, operation, move.container)
  return { move, container, tries, status: statusOf(operation, container, tries) }
}

function statusOf(operation: Operation, container: StoredContainer | undefined, tries: readonly Operation[]): Status {
  if (tries.some(({ state }) => state === 'running')) return 'moving'
  if (!container || container.deleting || container.host !== operation.target) return 'gone'
  if (container.operation !== null) return 'moving'
  const failures = tries.length
  // Whoever cancels one of the moves wants that container to stay.
  const kept = tries.some(({ state }) => state === 'cancelled')
  return failures >= maxTries || kept || !['running', 'stopped'].includes(container.state) ? 'stuck' : 'waiting'
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

function planTogether(context: PlanContext, operation: Operation, containers: StoredContainer[]): Entry {
  const snapshot = clusterSnapshot(context.state, context.observed, context.nowMs, { source: operation.target })
  const results = placeAll(
    snapshot,
    containers.map((container) => leaving(container, operation.target, [])),
    context.seed,
  )
  const plan = containers.map((container, index) => ({
    container: container.id,
    name: container.name,
    destination: results[index]!.host,
    reason: results[index]!.placement.reason,
  }))
  return { type: 'EvacuationPlanned', atMs: context.nowMs, operation: operation.id, plan }
}

/** Fills the free places. Where the plan no longer fits, the container is placed anew. */
function startMoves(context: PlanContext, operation: Operation, moves: MoveProgress[], under: number): Entry[] {
  const { state, observed, nowMs, seed } = context
  const entries: Entry[] = []
  const pending: PendingPlacement[] = []
  let places = Number(operation.parameters.parallel ?? 1) - under
  for (const { move, container, tries, status } of moves) {
    if (status !== 'waiting' || !container) continue
    if (places <= 0) break
    const snapshot = clusterSnapshot(state, observed, nowMs, {
      source: operation.target,
      pending,
      without: container.id,
    })
    const failedOn = tries.map(({ migration }) => migration?.destination ?? '')
    const demand = leaving(container, operation.target, failedOn)
    const wanted = tries.length === 0 ? move.destination : null
    let placed = place(snapshot, { ...demand, host: wanted }, seed)
    if (placed.host === null && wanted !== null) placed = place(snapshot, demand, seed)
    // All others failed or are full: then one that failed before may still do.
    if (placed.host === null && failedOn.length > 0)
      placed = place(snapshot, leaving(container, operation.target, []), seed)
    if (placed.host === null) continue
    places -= 1
    pending.push(pendingOf(placed.host, container.spec))
    entries.push({
      type: 'MoveStarted',
      atMs: nowMs,
      operation: `${operation.id}-${container.id}-${tries.length + 1}`,
      container: container.name,
      destination: placed.host,
      mode: container.state === 'stopped' ? 'cold' : 'live',
      placement: placed.placement,
      parent: operation.id,
    })
  }
  return entries
}

function leaving(container: StoredContainer, source: string, failedOn: readonly string[]): Demand {
  const excluded = [source, ...failedOn]
  // Its quota counts it already.
  const { project: _project, ...demand } = demandOf(container, {
    host: null,
    excluded,
    live: container.state !== 'stopped',
  })
  return demand
}

function progress({ nowMs }: PlanContext, operation: Operation, done: number, total: number): Entry[] {
  if (operation.progress.done === done && operation.progress.total === total) return []
  const message = `${done} of ${total} containers have left ${operation.target}`
  const advanced = { done, total, message }
  return [{ type: 'OperationAdvanced', atMs: nowMs, operation: operation.id, phase: 'moving', progress: advanced }]
}

function ending({ nowMs }: PlanContext, operation: Operation, moves: MoveProgress[], done: number): Entry {
  const stayed = moves.filter(({ status }) => status !== 'gone')
  const base = { type: 'OperationEnded', atMs: nowMs, operation: operation.id, figures: {} } as const
  const count = `${done} of ${moves.length} containers have left ${operation.target}`
  if (operation.cancelRequested) {
    const error = { code: 'CANCELLED', message: `evacuate host ${operation.target}: cancelled; ${count}` }
    return { ...base, state: 'cancelled', message: error.message, error }
  }
  if (stayed.length === 0) return { ...base, state: 'done', message: count, error: null }
  const reasons = stayed.map(({ move, container, tries }) => `${move.name} (${whyStayed(move, container, tries)})`)
  const message = `evacuate host ${operation.target}: ${count}; not: ${reasons.join(', ')}`
  return { ...base, state: 'failed', message, error: { code: 'NO_CAPACITY', message } }
}

function whyStayed(move: PlannedMove, container: StoredContainer | undefined, tries: readonly Operation[]): string {
  const last = tries.at(-1)?.error?.message
  if (last !== undefined) return last
  if (container && !['running', 'stopped'].includes(container.state)) return `it is ${container.state}`
  return move.reason
}

function childrenOf(state: ClusterState, operation: Operation, container: string): Operation[] {
  const children: Operation[] = []
  for (let attempt = 1; attempt <= maxTries; attempt += 1) {
    const child = state.tables.operations.get(`${operation.id}-${container}-${attempt}`)
    if (child) children.push(child)
  }
  return children
}

const containersOn = (state: ClusterState, host: string): StoredContainer[] =>
  [...state.tables.containers.values()]
    .filter((container) => container.host === host)
    .sort((left, right) => left.identity.serial - right.identity.serial)

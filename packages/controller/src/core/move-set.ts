// Many planned moves under one operation (emptying a host, bringing back, rebalancing): how far each has come, and which are begun
// next. All of it is read off the committed child operations, so a new leader goes on where the old one was.

import type { MigrationMode, Operation } from '@drover/protocol'
import { type Demand, place } from '@drover/scheduler'
import { clusterSnapshot, type PendingPlacement, pendingOf } from './cluster-snapshot.ts'
import { demandOf } from './demand.ts'
import type { Entry, PlannedMove } from './entries.ts'
import type { PlanContext } from './planner.ts'
import type { ClusterState, StoredContainer } from './state.ts'

export type Status =
  /** Not where it was any more, or stopped as wished. */
  | 'gone'
  /** It was wished to stay. */
  | 'kept'
  /** Its move, or another operation on it, is under way. */
  | 'moving'
  | 'waiting'
  /** Tried often enough, or not in a state to be moved. */
  | 'stuck'

export interface MoveProgress {
  move: PlannedMove
  container: StoredContainer | undefined
  tries: Operation[]
  status: Status
}

export interface MoveSetRules {
  /** How often the move of one container is tried. */
  maxTries: number
  /** Where the plan doesn't fit any more, another host will do. */
  retarget: boolean
}

/** null: not planned yet. */
export const plannedMoves = (operation: Operation): PlannedMove[] | null =>
  (operation.parameters.plan as PlannedMove[] | null | undefined) ?? null

export function progressOfMoves(state: ClusterState, operation: Operation, { maxTries }: MoveSetRules): MoveProgress[] {
  return (plannedMoves(operation) ?? []).map((move) => {
    const container = state.tables.containers.get(move.container)
    // Nothing is done with it, and it is elsewhere: most of a plan is soon like that, and it is gone through with every entry.
    if (container?.operation === null && container.host !== sourceOf(operation, move))
      return {
        move,
        container,
        status: 'gone',
        get tries() {
          return childrenOf(state, operation, move.container, maxTries)
        },
      }
    const tries = childrenOf(state, operation, move.container, maxTries)
    return { move, container, tries, status: statusOf(operation, move, container, tries, maxTries) }
  })
}

function statusOf(
  operation: Operation,
  move: PlannedMove,
  container: StoredContainer | undefined,
  tries: readonly Operation[],
  maxTries: number,
): Status {
  if (tries.some(({ state }) => state === 'running')) return 'moving'
  if (!container || container.deleting || container.host !== sourceOf(operation, move)) return 'gone'
  if (move.how === 'stay') return 'kept'
  if (container.operation !== null) return 'moving'
  if (move.how === 'preempt' && container.preempted !== undefined) return 'gone'
  if (move.how === 'stop' && container.state === 'stopped') return 'gone'
  // Whoever cancels one of the moves wants that container to stay.
  const kept = tries.some(({ state }) => state === 'cancelled')
  const able = move.how === 'preempt' ? container.state === 'running' : movableStates.includes(container.state)
  return tries.length >= maxTries || kept || !able ? 'stuck' : 'waiting'
}

/** Fills the free places, in the order of the plan. */
export function startMoves(
  context: PlanContext,
  operation: Operation,
  moves: readonly MoveProgress[],
  rules: MoveSetRules,
): Entry[] {
  const entries: Entry[] = []
  const pending: PendingPlacement[] = []
  let places = placesOf(operation) - moves.filter(({ status }) => status === 'moving').length
  for (const progress of moves) {
    if (places <= 0) break
    if (progress.status !== 'waiting') continue
    const entry = begin(context, operation, progress, rules, pending)
    if (!entry) continue
    places -= 1
    entries.push(entry)
  }
  return entries
}

function begin(
  context: PlanContext,
  operation: Operation,
  progress: MoveProgress,
  rules: MoveSetRules,
  pending: PendingPlacement[],
): Entry | null {
  if (progress.move.how === 'stop') return stop(context, operation, progress)
  if (progress.move.how === 'preempt') return preempt(context, operation, progress)
  return start(context, operation, progress, rules, pending)
}

function preempt({ nowMs }: PlanContext, operation: Operation, { container, tries }: MoveProgress): Entry {
  return {
    type: 'PreemptionRequested',
    atMs: nowMs,
    operation: childId(operation, container!.id, tries.length + 1),
    container: container!.name,
    parent: operation.id,
  }
}

function stop({ nowMs }: PlanContext, operation: Operation, { container, tries }: MoveProgress): Entry {
  return {
    type: 'PowerRequested',
    atMs: nowMs,
    operation: childId(operation, container!.id, tries.length + 1),
    kind: 'stop',
    container: container!.name,
    stopTimeoutMs: null,
    parent: operation.id,
  }
}

function start(
  { state, observed, nowMs, seed }: PlanContext,
  operation: Operation,
  { move, container, tries }: MoveProgress,
  { retarget }: MoveSetRules,
  pending: PendingPlacement[],
): Entry | null {
  if (!container) return null
  const source = sourceOf(operation, move)
  const mode = modeOf(container, move)
  const snapshot = clusterSnapshot(state, observed, nowMs, { source, pending, without: container.id })
  const failedOn = tries.map(({ migration }) => migration?.destination ?? '')
  const demand = leaving(container, source, failedOn, mode)
  const wanted = tries.length === 0 || !retarget ? move.destination : null
  let placed = place(snapshot, { ...demand, host: wanted }, seed)
  if (retarget) {
    if (placed.host === null && wanted !== null) placed = place(snapshot, demand, seed)
    // All others failed or are full: then one that failed before may still do.
    if (placed.host === null && failedOn.length > 0)
      placed = place(snapshot, leaving(container, source, [], mode), seed)
  }
  if (placed.host === null) return null
  pending.push(pendingOf(placed.host, container.spec))
  const asPlanned = placed.host === move.destination
  return {
    type: 'MoveStarted',
    atMs: nowMs,
    operation: childId(operation, container.id, tries.length + 1),
    container: container.name,
    destination: placed.host,
    mode,
    placement: asPlanned ? { ...placed.placement, reason: move.reason } : placed.placement,
    parent: operation.id,
    reason: asPlanned ? move.reason : `${operation.kind} ${operation.target}: ${placed.placement.reason}`,
    ...(move.urgent === undefined ? {} : { urgent: move.urgent }),
    mayPrepare: true,
  }
}

const movableStates: readonly string[] = ['running', 'frozen', 'stopped']

/** What stands still is not woken for it. */
function modeOf({ state }: StoredContainer, { how }: PlannedMove): MigrationMode {
  if (state === 'stopped' || how === 'cold') return 'cold'
  return state === 'frozen' || how === 'frozen' ? 'frozen' : 'live'
}

function leaving(container: StoredContainer, source: string, failedOn: readonly string[], mode: MigrationMode): Demand {
  // Its quota counts it already.
  const { project: _project, ...demand } = demandOf(container, {
    host: null,
    excluded: [source, ...failedOn],
    live: mode !== 'cold',
  })
  return demand
}

/** One OperationAdvanced when the counts have changed. */
export function progressEntry(
  { nowMs }: PlanContext,
  operation: Operation,
  done: number,
  total: number,
  message: string,
): Entry[] {
  if (operation.progress.done === done && operation.progress.total === total) return []
  const advanced = { done, total, message }
  return [{ type: 'OperationAdvanced', atMs: nowMs, operation: operation.id, phase: 'moving', progress: advanced }]
}

/** An operation carries its plan, which every controller writes down with it: while moves go on, once in a while is enough. */
const progressIntervalMs = 1_000

export const isHurried = ({ nowMs }: PlanContext, operation: Operation): boolean =>
  nowMs - operation.updatedAtMs < progressIntervalMs

export const unhurried = (context: PlanContext, operation: Operation, progress: readonly Entry[]): readonly Entry[] =>
  isHurried(context, operation) ? [] : progress

/** How many moves may be under way at once. */
export const placesOf = (operation: Operation): number => Number(operation.parameters.parallel ?? 1)

export function whyStayed({ move, container, tries }: MoveProgress): string {
  const last = tries.at(-1)?.error?.message
  if (last !== undefined) return last
  if (container && !movableStates.includes(container.state)) return `it is ${container.state}`
  return move.reason
}

export const sourceOf = (operation: Operation, move: PlannedMove): string => move.from ?? operation.target

const childId = (operation: Operation, container: string, attempt: number) => `${operation.id}-${container}-${attempt}`

function childrenOf(state: ClusterState, operation: Operation, container: string, maxTries: number): Operation[] {
  const children: Operation[] = []
  for (let attempt = 1; attempt <= maxTries; attempt += 1) {
    const child = state.tables.operations.get(childId(operation, container, attempt))
    // They are numbered as they begin, and none is forgotten before its parent has ended.
    if (!child) break
    children.push(child)
  }
  return children
}

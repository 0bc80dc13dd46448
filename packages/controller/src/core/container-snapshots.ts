// Containers where they are now, as the planners of moves want them: what each asks of another host, what it is expected to use,
// what moving it means, and why it can't be moved.

import {
  describePins,
  featureObstacles,
  type HostFeatures,
  type ObservedContainer,
  type Operation,
  pinsOf,
} from '@drover/protocol'
import { type ContainerSnapshot, learnMoveModel, type MeasuredMove, type MoveModel } from '@drover/scheduler'
import { demandOf } from './demand.ts'
import { isReady, type Observed } from './observed.ts'
import { heldRequests, mayBePreempted } from './preemption.ts'
import { promisedAway } from './promised-room.ts'
import type { ClusterState, StoredContainer } from './state.ts'

/** The last so many moves tell what a move costs here. */
const tellingMoves = 100
/** Dumped, sent and restored, one after the other: a third of a gigabyte a second. */
const restBytesPerMs = 333_333
/** Why one that was preempted is left alone; emptying its host is no reason to leave it. */
export const waitsForRoom = 'it was preempted, and waits for room'
/** No dump and restore has been seen to take less. */
const leastFixedMs = 10

export function containerSnapshots(state: ClusterState, observed: Observed, nowMs: number): ContainerSnapshot[] {
  const unfit = new Map<string, string[]>()
  const seen = seenWhereTheyAre(state, observed)
  const moved = lastLiveMoves(state)
  const away = promisedAway(state)
  for (const { name, features } of state.tables.hosts.values()) unfit.set(name, hostsUnfitFor(state, features))
  const snapshots = [...state.tables.containers.values()].map((container): ContainerSnapshot => {
    const fixed = away.has(container.id)
      ? 'a launch waits for it to leave'
      : whyFixed(state, observed, nowMs, container)
    const measured = observed.uses?.of(container.id, nowMs) ?? null
    const live = container.state !== 'stopped'
    const expected = measured?.expected ?? null
    return {
      host: container.host,
      demand: {
        ...demandOf(container, { host: null, excluded: live ? (unfit.get(container.host) ?? []) : [], live }),
        ...(expected === null ? {} : { measured: expected }),
        requests: heldRequests(container),
      },
      movable: fixed === null,
      fixed,
      stoppable: !away.has(container.id) && mayStopNow(state, observed, nowMs, container),
      // Just started or just heard of: what it holds is known, and its load is too young to plan by.
      use: expected ?? (measured === null ? null : { cpuMilli: 0, memoryBytes: measured.memoryBytes }),
      residentBytes: live ? (measured?.memoryBytes ?? 0) : 0,
      diskBytes: seen.get(container.id)?.diskBytes ?? 0,
      dirtyBytesPerS: live ? (seen.get(container.id)?.dirtyBytesPerS ?? 0) : 0,
      ...(live ? ofItsLastMove(moved.get(container.name)) : {}),
    }
  })
  return snapshots.sort((left, right) => (left.demand.name < right.demand.name ? -1 : 1))
}

/** What the hosts that have them say of them. */
function seenWhereTheyAre(state: ClusterState, { reports }: Observed): Map<string, ObservedContainer> {
  const seen = new Map<string, ObservedContainer>()
  for (const [host, { report }] of reports) {
    for (const each of report.containers) {
      if (state.tables.containers.get(each.container)?.host === host) seen.set(each.container, each)
    }
  }
  return seen
}

/** By the container’s name. */
function lastLiveMoves(state: ClusterState): Map<string, Operation> {
  const last = new Map<string, Operation>()
  for (const operation of state.tables.operations.values()) {
    if (operation.state !== 'done' || operation.migration?.mode !== 'live') continue
    if (operation.revision > (last.get(operation.target)?.revision ?? 0)) last.set(operation.target, operation)
  }
  return last
}

function ofItsLastMove(
  move: Operation | undefined,
): Pick<ContainerSnapshot, 'memoryFrozenBytes' | 'memoryDirtyBytesPerS'> {
  const { switch_bytes: frozen, dirty_bytes_per_s: dirty } = move?.migration?.figures ?? {}
  return {
    ...(frozen === undefined ? {} : { memoryFrozenBytes: frozen }),
    ...(dirty === undefined ? {} : { memoryDirtyBytesPerS: dirty }),
  }
}

/** What a move costs in this cluster. */
export function moveModelOf(state: ClusterState): MoveModel {
  const moves: MeasuredMove[] = []
  const ended = [...state.tables.operations.values()]
    .filter(({ kind, state: ending, migration }) => kind === 'move' && ending === 'done' && migration?.mode === 'live')
    .sort((left, right) => right.revision - left.revision)
  for (const { migration, createdAtMs, endedAtMs } of ended.slice(0, tellingMoves)) {
    const { blackout_ms: blackoutMs, precopy_bytes: precopied = 0, switch_bytes: switched = 0 } = migration!.figures
    if (blackoutMs === undefined) continue
    moves.push({ blackoutMs, bytes: precopied + switched, durationMs: (endedAtMs ?? createdAtMs) - createdAtMs })
  }
  return learnMoveModel(moves)
}

/** What the last live move of this container took beyond the bytes that it sent while it stood still; undefined: it never moved. */
export function fixedBlackoutOf(state: ClusterState, name: string): number | undefined {
  const last = lastLiveMoves(state).get(name)
  const { blackout_ms: blackoutMs, switch_bytes: bytes = 0 } = last?.migration?.figures ?? {}
  if (blackoutMs === undefined) return undefined
  return Math.max(leastFixedMs, Math.round(blackoutMs - bytes / restBytesPerMs))
}

function whyFixed(state: ClusterState, observed: Observed, nowMs: number, container: StoredContainer): string | null {
  if (container.deleting) return 'it is being deleted'
  if (container.operation !== null) return `operation ${container.operation} is under way on it`
  const pins = pinsOf(container.spec.devices)
  if (pins.length > 0) return `devices pin it to ${container.host}: ${describePins(pins)}`
  if (container.preempted !== undefined) return waitsForRoom
  if (container.state === 'stopped') return null
  if (container.state !== 'running' && container.state !== 'frozen') return `it is ${container.state}`
  if (!isReady(observed, container.host, nowMs)) return `its host ${container.host} is silent`
  const criu = state.tables.hosts.get(container.host)?.features.criu
  return criu?.usable === true
    ? null
    : `no live move from ${container.host}: ${criu?.reason ?? 'its features are unknown'}`
}

/** To make room for a more important one. */
function mayStopNow(state: ClusterState, observed: Observed, nowMs: number, container: StoredContainer): boolean {
  if (container.state !== 'running' || container.operation !== null || container.deleting) return false
  return mayBePreempted(state, container) && isReady(observed, container.host, nowMs)
}

/** Hosts that can't restore what a host of these features dumps. */
function hostsUnfitFor(state: ClusterState, features: HostFeatures): string[] {
  return [...state.tables.hosts.values()]
    .filter((host) => !canRestoreFrom(host.features, features))
    .map(({ name }) => name)
}

/** A simulated engine's dumps are its own; else CPU, cgroup layout and CRIU must fit. */
export const canRestoreFrom = (here: HostFeatures, source: HostFeatures): boolean =>
  featureObstacles(source, here).length === 0

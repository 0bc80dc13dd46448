// The cluster as it will be once the room that launches were promised has been made: their own share counts already (capacity.ts), so what
// leaves for them must not count any more. Only for planning more room; what is committed waits until it is so.

import { type ClusterSnapshot, withoutPlaced, withPlaced, withStopped } from '@drover/scheduler'
import { arrivingHost } from './capacity.ts'
import { clusterSnapshot, type SnapshotOptions } from './cluster-snapshot.ts'
import { demandOf } from './demand.ts'
import type { PlannedMove } from './entries.ts'
import type { Observed } from './observed.ts'
import { promisedRoom } from './promised-room.ts'
import type { ClusterState } from './state.ts'

export function roomSnapshot(
  state: ClusterState,
  observed: Observed,
  nowMs: number,
  options: SnapshotOptions,
): ClusterSnapshot {
  let snapshot = clusterSnapshot(state, observed, nowMs, options)
  for (const id of state.running) {
    const operation = state.tables.operations.get(id)!
    if (promisedRoom(operation) === null) continue
    for (const move of (operation.parameters.plan ?? []) as PlannedMove[]) snapshot = after(state, snapshot, move)
  }
  return snapshot
}

function after(state: ClusterState, snapshot: ClusterSnapshot, { container: id, from, how, destination }: PlannedMove) {
  const container = state.tables.containers.get(id)
  if (!container || container.host !== from || container.preempted !== undefined) return snapshot
  const demand = demandOf(container, { host: null, excluded: [], live: false })
  if (how === 'preempt') return withStopped(snapshot, from, demand)
  const left = withoutPlaced(snapshot, from, demand)
  const counted = arrivingHost(state, container.operation) !== null
  return counted || destination === null ? left : withPlaced(left, destination, demand)
}

/** Others wait for room on that host as well: what isn't free yet may soon be. */
export function moreRoomToCome(state: ClusterState, host: string, except: string): boolean {
  return [...state.running].some((id) => id !== except && promisedRoom(state.tables.operations.get(id)!)?.host === host)
}

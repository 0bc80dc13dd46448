// Room for a launch that fits nowhere: a few live moves of containers that are no more important, and, only when those are not enough, stops of
// less important ones that may be stopped. The same plan for whoever asks beforehand as for the entry that begins it.

import { type Demand, makeRoom, type RoomPlan } from '@drover/scheduler'
import type { PendingPlacement } from './cluster-snapshot.ts'
import { containerSnapshots } from './container-snapshots.ts'
import type { EntryOf, PlannedMove } from './entries.ts'
import type { Observed } from './observed.ts'
import type { RoomyLaunch } from './promised-room.ts'
import { stayingPut } from './rebalance-plan.ts'
import { roomSnapshot } from './room-snapshot.ts'
import { type ClusterState, containerByName } from './state.ts'

/** As many other hosts' moves as one launch is worth. */
const maxMovesForRoom = 4
const parallelMoves = 2
/** Each may take its time to shut down. */
const parallelStops = 8

export interface RoomContext {
  state: ClusterState
  observed: Observed
  nowMs: number
  seed: number
  pending: Iterable<PendingPlacement>
}

/** Who would have to move or stop; null: that would not help. */
export function planRoomFor({ state, observed, nowMs, seed, pending }: RoomContext, demand: Demand): RoomPlan | null {
  const snapshot = roomSnapshot(state, observed, nowMs, { pending })
  const containers = containerSnapshots(state, observed, nowMs).map((each) => stayingPut(state, each))
  return makeRoom({ ...snapshot, containers }, demand, seed, { maxMoves: maxMovesForRoom })
}

/** null: no few moves would help, nor stops of those that may be stopped. */
export function roomEntry(
  context: RoomContext,
  id: string,
  demand: Demand,
  launch: Omit<RoomyLaunch, 'host' | 'placement'>,
): EntryOf<'RoomPlanned'> | null {
  const plan = planRoomFor(context, demand)
  if (plan === null || plan.moves.length + plan.stopped.length === 0) return null
  const reason = `makes room for ${demand.name} on ${plan.host}`
  const facts = (name: string) => ({
    container: containerByName(context.state, name)!.id,
    name,
    from: plan.host,
    makesRoomFor: demand.name,
  })
  const moves: PlannedMove[] = plan.moves.map(({ container, to }) => ({ ...facts(container), destination: to, reason }))
  const stops = plan.stopped.map(({ container, priority }): PlannedMove => {
    const over = `priority ${demand.priority ?? 0} over ${priority}`
    return { ...facts(container), destination: null, how: 'preempt', reason: `${reason}: ${over}` }
  })
  return {
    type: 'RoomPlanned',
    atMs: context.nowMs,
    operation: id,
    parallel: stops.length > 0 ? parallelStops : parallelMoves,
    moves: [...moves, ...stops],
    launch: { ...launch, host: plan.host, placement: { chosen: plan.host, reason: plan.reason, hosts: [] } },
  }
}

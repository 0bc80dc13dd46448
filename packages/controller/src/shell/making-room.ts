// Room for a launch that fits nowhere: a few live moves of containers that are no more important, and, only when those are not enough, stops of
// less important ones that may be stopped; planned together and committed as the beginning of the launch.

import type { Operation } from '@drover/protocol'
import { type Demand, makeRoom, type RoomPlan } from '@drover/scheduler'
import { containerSnapshots } from '../core/container-snapshots.ts'
import type { PlannedMove } from '../core/entries.ts'
import type { RoomyLaunch } from '../core/promised-room.ts'
import { stayingPut } from '../core/rebalance-plan.ts'
import { roomSnapshot } from '../core/room-snapshot.ts'
import { containerByName } from '../core/state.ts'
import type { ControllerContext } from './context.ts'
import { submit } from './submit.ts'

/** As many other hosts' moves as one launch is worth. */
const maxMovesForRoom = 4
const parallelMoves = 2
/** Each may take its time to shut down. */
const parallelStops = 8

/** Who would have to move or stop; null: that would not help. */
export function planRoomFor(context: ControllerContext, demand: Demand, seed: number): RoomPlan | null {
  const { machine, reports, now, pending } = context
  const { state } = machine
  const snapshot = roomSnapshot(state, reports, now(), { pending: pending.values() })
  const containers = containerSnapshots(state, reports, now()).map((each) => stayingPut(state, each))
  return makeRoom({ ...snapshot, containers }, demand, seed, { maxMoves: maxMovesForRoom })
}

/** null: no few moves would help, nor stops of those that may be stopped. */
export async function makeRoomFor(
  context: ControllerContext,
  id: string,
  demand: Demand,
  launch: Omit<RoomyLaunch, 'host' | 'placement'>,
): Promise<Operation | null> {
  const { machine, now, seed, log } = context
  const plan = planRoomFor(context, demand, seed())
  if (plan === null || plan.moves.length + plan.stopped.length === 0) return null
  const idOf = (name: string) => containerByName(machine.state, name)!.id
  const reason = `makes room for ${demand.name} on ${plan.host}`
  const moves: PlannedMove[] = plan.moves.map(({ container, from, to }) => ({
    container: idOf(container),
    name: container,
    destination: to,
    from,
    reason,
    makesRoomFor: demand.name,
  }))
  const stops = plan.stopped.map(({ container, priority }) => ({
    container: idOf(container),
    name: container,
    destination: null,
    from: plan.host,
    how: 'preempt' as const,
    reason: `${reason}: priority ${demand.priority ?? 0} over ${priority}`,
    makesRoomFor: demand.name,
  }))
  const placement = { chosen: plan.host, reason: plan.reason, hosts: [] }
  const parallel = stops.length > 0 ? parallelStops : parallelMoves
  const entry = { type: 'RoomPlanned', atMs: now(), operation: id, parallel } as const
  return await submit<Operation>(log, {
    ...entry,
    moves: [...moves, ...stops],
    launch: { ...launch, host: plan.host, placement },
  })
}

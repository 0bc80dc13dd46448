// Room for a launch that fits nowhere: a few live moves of containers that are no more important, planned together and committed as the
// beginning of the launch. Nobody is stopped for it.

import type { Operation } from '@drover/protocol'
import { type Demand, makeRoom } from '@drover/scheduler'
import { clusterSnapshot } from '../core/cluster-snapshot.ts'
import { containerSnapshots } from '../core/container-snapshots.ts'
import type { RoomyLaunch } from '../core/promised-room.ts'
import { stayingPut } from '../core/rebalance-plan.ts'
import { containerByName } from '../core/state.ts'
import type { ControllerContext } from './context.ts'
import { submit } from './submit.ts'

/** As many other hosts' moves as one launch is worth; explain shows the same. */
export const maxMovesForRoom = 4
const parallel = 2

/** null: no few moves would help. */
export async function makeRoomFor(
  context: ControllerContext,
  id: string,
  demand: Demand,
  launch: Omit<RoomyLaunch, 'host' | 'placement'>,
): Promise<Operation | null> {
  const { machine, reports, now, seed, pending, log } = context
  const { state } = machine
  const snapshot = clusterSnapshot(state, reports, now(), { pending: pending.values() })
  const containers = containerSnapshots(state, reports, now()).map((each) => stayingPut(state, each))
  const plan = makeRoom({ ...snapshot, containers }, demand, seed(), { maxMoves: maxMovesForRoom })
  if (plan === null || plan.moves.length === 0 || plan.stopped.length > 0) return null
  const moves = plan.moves.map(({ container, from, to }) => ({
    container: containerByName(state, container)!.id,
    name: container,
    destination: to,
    from,
    reason: `makes room for ${demand.name} on ${from}`,
    makesRoomFor: demand.name,
  }))
  const placement = { chosen: plan.host, reason: plan.reason, hosts: [] }
  const entry = { type: 'RoomPlanned', atMs: now(), operation: id, parallel, moves } as const
  return await submit<Operation>(log, { ...entry, launch: { ...launch, host: plan.host, placement } })
}

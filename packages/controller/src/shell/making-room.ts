// A launch that fits nowhere begins with making room, when that helps (core/room-plan.ts).

import type { Operation } from '@drover/protocol'
import type { Demand } from '@drover/scheduler'
import type { RoomyLaunch } from '../core/promised-room.ts'
import { type RoomContext, roomEntry } from '../core/room-plan.ts'
import type { ControllerContext } from './context.ts'
import { submit } from './submit.ts'

export const roomContext = ({ machine, reports, now, pending }: ControllerContext, seed: number): RoomContext => ({
  state: machine.state,
  observed: reports,
  nowMs: now(),
  seed,
  pending: pending.values(),
})

/** null: it would not help. */
export async function makeRoomFor(
  context: ControllerContext,
  id: string,
  demand: Demand,
  launch: Omit<RoomyLaunch, 'host' | 'placement'>,
): Promise<Operation | null> {
  const entry = roomEntry(roomContext(context, context.seed()), id, demand, launch)
  return entry === null ? null : await submit<Operation>(context.log, entry)
}

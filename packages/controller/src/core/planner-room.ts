// The moves that make room for a launch, then the stops if the plan has any, and then the launch. A move that fails is tried once more,
// elsewhere if need be; when one can't be made, nobody is stopped, and the launch is refused with what was in the way. What has moved stays
// where it is; who was stopped starts again (planner-resume.ts).

import type { Operation } from '@drover/protocol'
import { place } from '@drover/scheduler'
import { clusterSnapshot } from './cluster-snapshot.ts'
import { demandOf } from './demand.ts'
import type { Entry } from './entries.ts'
import {
  type MoveProgress,
  type MoveSetRules,
  progressEntry,
  progressOfMoves,
  startMoves,
  whyStayed,
} from './move-set.ts'
import { phaseSinceMs } from './operations.ts'
import type { PlanContext } from './planner.ts'
import { promisedRoom, type RoomyLaunch } from './promised-room.ts'
import { moreRoomToCome } from './room-snapshot.ts'

const rules: MoveSetRules = { maxTries: 2, retarget: true }
/** The room is not there all the same: for so long it is tried again. */
const refusedGraceMs = 5_000
/** Making room is no reason to wait for longer than this. */
export const roomDeadlineMs = 5 * 60_000

export function planRoom(context: PlanContext, operation: Operation): Entry[] {
  const { state, nowMs } = context
  const launch = promisedRoom(operation)
  if (launch === null) return []
  if (state.idsByName.has(launch.name))
    return [failed(context, operation, 'NAME_TAKEN', 'a container of that name exists')]
  const moves = progressOfMoves(state, operation, rules)
  const [moving, stopping] = [moves.filter((each) => !isStop(each)), moves.filter(isStop)]
  const done = moves.filter(({ status }) => status === 'gone').length
  const verb = stopping.length === 0 ? 'moved' : moving.length === 0 ? 'stopped' : 'moved or stopped'
  const said = `making room on ${launch.host}: ${done} of ${moves.length} ${verb}`
  const late = nowMs - operation.createdAtMs > roomDeadlineMs
  // Nobody is stopped before all have moved, nor when there is room without it by now.
  const moved = moving.every(({ status }) => status === 'gone')
  if (moved && !late && stopping.some(({ status }) => status === 'waiting') && fitsNow(context, operation, launch)) {
    return [launched(context, operation, launch)]
  }
  const starts = late ? [] : startMoves(context, operation, moved ? stopping : moving, rules)
  const progress = progressEntry(context, operation, done, moves.length, said).map((entry) => ({
    ...entry,
    phase: operation.phase,
  })) as Entry[]
  if (starts.length > 0 || moves.some(({ status }) => status === 'moving')) return [...progress, ...starts]
  if (done === moves.length) {
    if (fitsNow(context, operation, launch)) return [...progress, launched(context, operation, launch)]
    if (!late && moreRoomToCome(state, launch.host, operation.id)) return progress
    const lastMs = Math.max(
      phaseSinceMs(operation),
      ...moves.flatMap(({ tries }) => tries.map((each) => each.updatedAtMs)),
    )
    if (nowMs - lastMs > refusedGraceMs) {
      return [
        failed(context, operation, 'NO_CAPACITY', `the room that was made on ${launch.host} is not enough any more`),
      ]
    }
    return [...progress, launched(context, operation, launch)]
  }
  const stayed = moves.filter(({ status }) => status !== 'gone')
  const why = stayed.map(
    (each) => `${each.move.name} (${each.tries.length > 0 ? whyStayed(each) : 'no room for it elsewhere any more'})`,
  )
  return [failed(context, operation, late ? 'TIMED_OUT' : 'NO_CAPACITY', `${said}; not: ${why.join(', ')}`)]
}

const isStop = ({ move }: MoveProgress): boolean => move.how === 'preempt'

function launched({ nowMs }: PlanContext, { id }: Operation, launch: RoomyLaunch): Entry {
  return { type: 'ContainerLaunched', atMs: nowMs, operation: id, ...launch }
}

function fitsNow({ state, observed, nowMs, seed }: PlanContext, { id }: Operation, launch: RoomyLaunch): boolean {
  const demand = demandOf(launch, { host: launch.host, excluded: [], live: false })
  return place(clusterSnapshot(state, observed, nowMs, { except: id }), demand, seed).host !== null
}

function failed({ nowMs }: PlanContext, { id, target }: Operation, code: string, reason: string): Entry {
  const message = `launch ${target}: ${reason}`
  const error = { code, message }
  return { type: 'OperationEnded', atMs: nowMs, operation: id, state: 'failed', message, error, figures: {} }
}

// The moves that make room for a launch, and then the launch. A move that fails is tried once more, elsewhere if need be; when one can't be
// made, the launch is refused with what was in the way. What has moved stays where it is.

import type { Operation } from '@drover/protocol'
import type { Entry } from './entries.ts'
import { type MoveSetRules, progressEntry, progressOfMoves, startMoves, whyStayed } from './move-set.ts'
import { phaseSinceMs } from './operations.ts'
import type { PlanContext } from './planner.ts'
import { promisedRoom } from './promised-room.ts'

const rules: MoveSetRules = { maxTries: 2, retarget: true }
/** The room is there and the launch is refused all the same: for so long it is tried again. */
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
  const done = moves.filter(({ status }) => status === 'gone').length
  const said = `making room on ${launch.host}: ${done} of ${moves.length} moved`
  const late = nowMs - operation.createdAtMs > roomDeadlineMs
  const starts = late ? [] : startMoves(context, operation, moves, rules)
  const progress = progressEntry(context, operation, done, moves.length, said).map((entry) => ({
    ...entry,
    phase: operation.phase,
  })) as Entry[]
  if (starts.length > 0 || moves.some(({ status }) => status === 'moving')) return [...progress, ...starts]
  if (done === moves.length) {
    const lastMs = Math.max(
      phaseSinceMs(operation),
      ...moves.flatMap(({ tries }) => tries.map((each) => each.updatedAtMs)),
    )
    if (nowMs - lastMs > refusedGraceMs) {
      return [
        failed(context, operation, 'NO_CAPACITY', `the room that was made on ${launch.host} is not enough any more`),
      ]
    }
    return [...progress, { type: 'ContainerLaunched', atMs: nowMs, operation: operation.id, ...launch }]
  }
  const stayed = moves.filter(({ status }) => status !== 'gone')
  const why = stayed.map(
    (each) => `${each.move.name} (${each.tries.length > 0 ? whyStayed(each) : 'no room for it elsewhere any more'})`,
  )
  return [failed(context, operation, late ? 'TIMED_OUT' : 'NO_CAPACITY', `${said}; not: ${why.join(', ')}`)]
}

function failed({ nowMs }: PlanContext, { id, target }: Operation, code: string, reason: string): Entry {
  const message = `launch ${target}: ${reason}`
  const error = { code, message }
  return { type: 'OperationEnded', atMs: nowMs, operation: id, state: 'failed', message, error, figures: {} }
}

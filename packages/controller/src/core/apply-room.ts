// A launch that fits nowhere as things are: its operation begins with moves that make room for it, and goes on as any launch when they
// have been made. Until then the room is kept for it (capacity.ts counts it).

import type { Operation } from '@drover/protocol'
import { checkQuota } from './apply-launch.ts'
import type { Draft } from './draft.ts'
import type { EntryOf } from './entries.ts'
import { beginOperation, begunBefore } from './operations.ts'
import { makingRoom } from './promised-room.ts'

export function applyRoomPlanned(draft: Draft, entry: EntryOf<'RoomPlanned'>): Operation {
  const { operation: id, launch, moves, parallel } = entry
  const before = begunBefore(draft, id, 'launch', launch.name)
  if (before) return before
  const { name } = launch
  if (draft.state.idsByName.has(name)) {
    draft.refuse('NAME_TAKEN', `launch ${name}: a container of that name exists`, { container: name })
  }
  checkQuota(draft, launch)
  draft.host(launch.host)
  const operation = beginOperation(draft, {
    id,
    kind: 'launch',
    target: name,
    phase: makingRoom,
    message: launch.placement.reason,
    total: moves.length,
    parameters: { launch, plan: moves, parallel, host: launch.host },
  })
  draft.event('room.planned', name, launch.placement.reason, id)
  return operation
}

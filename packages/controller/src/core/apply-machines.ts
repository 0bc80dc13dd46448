// Machines are wanted, or one is no longer needed: an operation that the leader carries out by telling the hook.

import type { Operation } from '@drover/protocol'
import type { Draft } from './draft.ts'
import type { EntryOf } from './entries.ts'
import { beginOperation, begunBefore } from './operations.ts'

/** What has just been asked for is on its way: nobody asks again sooner. */
const onItsWayMs = 300_000

export function applyMachinesAsked(draft: Draft, entry: EntryOf<'MachinesAsked'>): Operation {
  const { operation: id, target, event, facts, reason } = entry
  const before = begunBefore(draft, id, 'machines', target)
  if (before) return before
  for (const other of draft.state.tables.operations.values()) {
    if (other.kind !== 'machines' || other.target !== target || other.parameters.event !== event) continue
    const recent = other.state === 'done' && draft.atMs - other.updatedAtMs < onItsWayMs
    if (other.state === 'running' || (recent && event !== 'release')) {
      draft.refuse('BUSY', `${event} ${target}: operation ${other.id} has asked already`, { operation: other.id })
    }
  }
  const message = `${event}: ${reason}`
  const parameters = { event, facts, reason }
  draft.event(`machines.${event}`, target, message, id)
  return beginOperation(draft, { id, kind: 'machines', target, phase: 'asking', message, total: 1, parameters })
}

// What its user's stop and start mean for a container that was preempted: a stop makes it stay off, a start needs room.

import type { Operation } from '@drover/protocol'
import { loadOf, shortage } from './capacity.ts'
import type { Draft } from './draft.ts'
import type { EntryOf } from './entries.ts'
import { endEphemeral } from './ephemeral.ts'
import { beginOperation, endOperation } from './operations.ts'
import { missingRequests } from './preemption.ts'
import { askable } from './scheduling-policy.ts'
import type { StoredContainer } from './state.ts'

/** It is off already: from now on because its user wants it so. null: it doesn't wait to be started. */
export function stopWaiting(
  draft: Draft,
  entry: EntryOf<'PowerRequested'>,
  container: StoredContainer,
): Operation | null {
  const { preempted, name, host } = container
  if (entry.kind !== 'stop' || !preempted?.resumes) return null
  draft.putContainer({ ...container, preempted: { ...preempted, resumes: false } })
  const facts = {
    id: entry.operation,
    kind: 'stop',
    target: name,
    phase: 'stopping',
    parent: entry.parent ?? null,
  } as const
  const message = `on ${host}: it stays stopped`
  const ended = endOperation(draft, beginOperation(draft, { ...facts, message }), {
    state: 'done',
    message,
    error: null,
  })
  endEphemeral(draft, container.id)
  return ended
}

/** Others may have what it gave up. */
export function refuseWithoutRoom(draft: Draft, { kind }: EntryOf<'PowerRequested'>, container: StoredContainer): void {
  const { preempted, name, host } = container
  if (kind !== 'start' || preempted === undefined) return
  const capacity = askable(draft.state, draft.host(host))
  const short = shortage(capacity, loadOf(draft.state, host).requested, missingRequests(container))
  if (short === null) return
  const then = preempted.resumes ? 'it starts by itself when there is room' : 'move it where there is room'
  draft.refuse(
    'NO_CAPACITY',
    `start ${name}: it was preempted by ${preempted.by}, and host ${host} has no room: ${short}; ${then}`,
    {
      container: name,
      host,
    },
  )
}

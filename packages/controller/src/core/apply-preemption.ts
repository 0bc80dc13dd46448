// A container is stopped to make room for a launch, and starts again when there is room. While it stops, its operation says why; once it
// has stopped it is preempted, and only then its requests are free. All of it is committed, so any leader goes on with it.

import type { Operation } from '@drover/protocol'
import { checkRoom } from './apply-launch.ts'
import { runningOperation } from './apply-operations.ts'
import { refuseBusy } from './apply-power.ts'
import type { Draft } from './draft.ts'
import type { EntryOf } from './entries.ts'
import { beginOperation, begunBefore } from './operations.ts'
import { mayBePreempted, missingRequests, preemptTimeoutMs, priorityOf } from './preemption.ts'
import { promisedRoom } from './promised-room.ts'
import type { StoredContainer } from './state.ts'

export function applyPreemptionRequested(draft: Draft, entry: EntryOf<'PreemptionRequested'>): Operation {
  const before = begunBefore(draft, entry.operation, 'preempt', entry.container)
  if (before) return before
  const container = draft.containerNamed(entry.container)
  const { name, host, state } = container
  refuseBusy(draft, container, 'preempt')
  const launch = promisedRoom(runningOperation(draft, entry.parent))
  const why = launch === null ? 'nobody waits for its room' : whyNot(draft, container, launch)
  if (launch === null || why !== null) {
    return draft.refuse('WRONG_STATE', `preempt ${name}: ${why}`, { container: name, state })
  }
  const priority = priorityOf(launch)
  draft.reassign({
    ...container,
    desired: 'stopped',
    operation: entry.operation,
    stopTimeoutMs: preemptTimeoutMs,
  })
  const operation = beginOperation(draft, {
    id: entry.operation,
    kind: 'preempt',
    target: name,
    phase: 'stopping',
    message: `on ${host}, for ${launch.name}`,
    parent: entry.parent,
    parameters: { container: container.id, host, starts: container.starts, by: launch.name, priority },
  })
  const over = `priority ${priority} over ${priorityOf(container)}`
  draft.event(
    'container.preempting',
    name,
    `${name} on ${host} is stopped to make room for ${launch.name}: ${over}`,
    operation.id,
  )
  return operation
}

function whyNot(
  draft: Draft,
  container: StoredContainer,
  launch: NonNullable<ReturnType<typeof promisedRoom>>,
): string | null {
  const { state, deleting, host } = container
  if (state !== 'running' || deleting) return `it is ${state}, not running`
  if (host !== launch.host) return `it is on ${host}, and ${launch.name} waits for room on ${launch.host}`
  if (priorityOf(launch) <= priorityOf(container)) return `${launch.name} is not more important`
  return mayBePreempted(draft.state, container) ? null : 'it may not be stopped for others (preemptible)'
}

export function applyContainerResumed(draft: Draft, entry: EntryOf<'ContainerResumed'>): Operation {
  const container = draft.containerWithId(entry.container, 'resume')
  const before = begunBefore(draft, entry.operation, 'start', container.name)
  if (before) return before
  const { name, host, epoch } = container
  const { preempted, ...rest } = container
  if (!preempted?.resumes || container.deleting) {
    return draft.refuse('WRONG_STATE', `resume ${name}: it does not wait for room`, { container: name })
  }
  if (host !== entry.host || epoch !== entry.epoch) {
    draft.refuse(
      'STALE_EPOCH',
      `resume ${name} on ${entry.host} in epoch ${entry.epoch}: it is on ${host} in epoch ${epoch}`,
    )
  }
  refuseBusy(draft, container, 'resume')
  checkRoom(draft, host, missingRequests(container), `resume ${name}`)
  draft.reassign({ ...rest, desired: 'running', operation: entry.operation, stopTimeoutMs: null })
  draft.event('container.resuming', name, `${name} starts again on ${host}: there is room for it`, entry.operation)
  return beginOperation(draft, {
    id: entry.operation,
    kind: 'start',
    target: name,
    phase: 'starting',
    message: `on ${host}, after it was preempted by ${preempted.by}`,
    parameters: { container: container.id, host, starts: container.starts, preempted },
  })
}

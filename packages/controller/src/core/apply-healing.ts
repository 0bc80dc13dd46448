// A host is lost, and a container of it is started elsewhere. Losing is committed, since nothing that was started elsewhere can be taken
// back; it is over when the host is heard again, which then removes what is no longer its own.

import type { Host, Operation } from '@drover/protocol'
import { checkRoom } from './apply-launch.ts'
import { refuseBusy } from './apply-power.ts'
import type { Draft } from './draft.ts'
import type { EntryOf } from './entries.ts'
import { whyNotHealed } from './healing.ts'
import { begunAnew } from './new-container.ts'
import { beginOperation, begunBefore, endOperation } from './operations.ts'

export function applyHostLost(draft: Draft, entry: EntryOf<'HostLost'>): Host | Operation {
  const host = draft.host(entry.host)
  const { operation, sure, fresh = false } = entry
  if (operation !== undefined) {
    const before = begunBefore(draft, operation, 'host-lost', host.name)
    if (before) return before
  }
  if (!draft.state.tables.silences.has(host.name)) {
    draft.refuse(
      'WRONG_STATE',
      `host ${host.name} is not lost: its agent is heard, or was a moment ago; empty it with: drover host evacuate`,
      {
        host: host.name,
      },
    )
  }
  const known = draft.state.tables.losses.get(host.name)
  const loss = {
    sinceMs: known?.sinceMs ?? draft.atMs,
    sure: sure || known?.sure === true,
    fresh: fresh || known?.fresh === true,
  }
  draft.write({ table: 'losses', key: host.name, value: loss })
  const why = sure
    ? 'somebody who is sure says so'
    : 'it was not heard for so long that its engine has frozen what may be started elsewhere'
  draft.event('host.lost', host.name, `host ${host.name} is lost: ${why}`, operation ?? null)
  if (operation === undefined) return host
  const message = 'counts as lost'
  const begun = beginOperation(draft, { id: operation, kind: 'host-lost', target: host.name, phase: 'done', message })
  return endOperation(draft, begun, { state: 'done', message, error: null })
}

export function applyContainerHealed(draft: Draft, entry: EntryOf<'ContainerHealed'>): Operation {
  const container = draft.containerWithId(entry.container, 'heal')
  const before = begunBefore(draft, entry.operation, 'heal', container.name)
  if (before) return before
  const { name, host: lost, epoch } = container
  if (lost !== entry.from || epoch !== entry.epoch) {
    draft.refuse(
      'STALE_EPOCH',
      `heal ${name} from ${entry.from} in epoch ${entry.epoch}: it belongs to ${lost} in epoch ${epoch}`,
      {
        container: name,
      },
    )
  }
  refuseBusy(draft, container, 'heal')
  const why = whyNotHealed(draft.state, container)
  if (why !== null) draft.refuse('WRONG_STATE', `heal ${name}: ${why}`, { container: name })
  checkRoom(draft, entry.destination, container.spec.requests, `heal ${name}`)
  const { snapshots: _snapshots, memory: _memory, preempted, ...kept } = begunAnew(container, epoch + 1)
  draft.reassign({
    ...kept,
    ...(preempted === undefined ? {} : { desired: 'running' as const }),
    host: entry.destination,
    operation: entry.operation,
    placement: entry.placement,
  })
  const operation = beginOperation(draft, {
    id: entry.operation,
    kind: 'heal',
    target: name,
    phase: 'creating',
    message: `on ${entry.destination}, from its image: host ${lost} is lost`,
    parameters: { container: container.id, host: entry.destination, from: lost, starts: 0 },
  })
  draft.event(
    'container.healed',
    name,
    `${name} is started on ${entry.destination} from its image, since host ${lost} is lost and its disk with it: ${entry.placement.reason}`,
    entry.operation,
  )
  return operation
}

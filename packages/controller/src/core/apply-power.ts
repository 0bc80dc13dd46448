// start, stop, restart, freeze, thaw and delete: each changes what is desired of a container and begins the operation that ends when
// its host reports that it is so.

import type { ContainerState, Operation, PowerState } from '@drover/protocol'
import type { Draft } from './draft.ts'
import type { EntryOf } from './entries.ts'
import { beginOperation, begunBefore } from './operations.ts'
import { refuseWithoutRoom, stopWaiting } from './preempted-power.ts'
import type { StoredContainer } from './state.ts'

type PowerKind = EntryOf<'PowerRequested'>['kind']

/** From which states each one is allowed, and what is desired then. */
const rules: Record<PowerKind, { from: readonly ContainerState[]; desired: PowerState | null; phase: string }> = {
  start: { from: ['stopped', 'failed'], desired: 'running', phase: 'starting' },
  stop: { from: ['running', 'frozen', 'failed', 'pending'], desired: 'stopped', phase: 'stopping' },
  // First the one, then the other: its `leg` says which.
  restart: { from: ['running', 'frozen'], desired: 'stopped', phase: 'stopping' },
  freeze: { from: ['running'], desired: 'frozen', phase: 'freezing' },
  thaw: { from: ['frozen'], desired: 'running', phase: 'thawing' },
  delete: {
    from: ['pending', 'running', 'stopped', 'frozen', 'failed', 'unknown', 'deleting'],
    desired: null,
    phase: 'deleting',
  },
}

export function applyPowerRequested(draft: Draft, entry: EntryOf<'PowerRequested'>): Operation {
  const before = begunBefore(draft, entry.operation, entry.kind, entry.container)
  if (before) return before
  const container = draft.containerNamed(entry.container)
  refuseBusy(draft, container, entry.kind)
  const off = stopWaiting(draft, entry, container)
  if (off !== null) return off
  const rule = rules[entry.kind]
  if (entry.kind === 'delete' && container.spec.lifecycle?.protected) {
    const { name } = container
    const hint = `drover set ${name} protection.delete=false`
    draft.refuse('WRONG_STATE', `delete ${name}: it is protected from that; first: ${hint}`, { container: name })
  }
  if (entry.kind === 'thaw' && container.memory?.frozenAtLimit) {
    draft.refuse(
      'WRONG_STATE',
      `thaw ${container.name}: it is frozen at its limit of memory; raise that (drover set ${container.name} memory=…) and it goes on`,
      { container: container.name, state: container.state },
    )
  }
  if (!rule.from.includes(container.state) || (container.deleting && entry.kind !== 'delete')) {
    draft.refuse(
      'WRONG_STATE',
      `${entry.kind} ${container.name}: it is ${container.state}, not ${rule.from.join(' or ')}`,
      {
        container: container.name,
        state: container.state,
      },
    )
  }
  refuseWithoutRoom(draft, entry, container)
  const { preempted, ...rest } = container
  draft.reassign({
    ...rest,
    ...(preempted === undefined || entry.kind === 'start' ? {} : { preempted }),
    desired: rule.desired ?? container.desired,
    deleting: entry.kind === 'delete',
    state: entry.kind === 'delete' ? 'deleting' : container.state,
    operation: entry.operation,
    stopTimeoutMs: stops(entry.kind) ? entry.stopTimeoutMs : container.stopTimeoutMs,
  })
  return beginOperation(draft, {
    id: entry.operation,
    kind: entry.kind,
    target: container.name,
    phase: rule.phase,
    message: `on ${container.host}`,
    parent: entry.parent ?? null,
    parameters: {
      container: container.id,
      host: container.host,
      starts: container.starts,
      ...(entry.kind === 'restart' ? { leg: 'stopping' } : {}),
    },
  })
}

/** It has stopped: now it is to run again, and the operation goes on until it does. */
export function startAgain(draft: Draft, operation: Operation, container: StoredContainer): void {
  draft.reassign({ ...container, desired: 'running' })
  draft.putOperation({
    ...operation,
    phase: 'starting',
    parameters: { ...operation.parameters, leg: 'starting', starts: container.starts, phaseSinceMs: draft.atMs },
  })
}

export const isStoppingFirst = ({ kind, parameters }: Operation): boolean =>
  kind === 'restart' && parameters.leg === 'stopping'

/** A restart that comes to nothing before the stop leaves it to run. */
export function takeBackRestart(draft: Draft, operation: Operation): void {
  const container = draft.state.tables.containers.get(String(operation.parameters.container))
  if (container && isStoppingFirst(operation)) draft.reassign({ ...container, desired: 'running' })
}

const stops = (kind: PowerKind): boolean => kind === 'stop' || kind === 'restart'

export function refuseBusy(draft: Draft, container: StoredContainer, doing: string): void {
  if (container.operation === null) return
  const other = draft.state.tables.operations.get(container.operation)
  draft.refuse(
    'BUSY',
    `${doing} ${container.name}: its ${other?.kind ?? 'operation'} ${container.operation} is under way; wait for it or cancel it`,
    { container: container.name, operation: container.operation },
  )
}

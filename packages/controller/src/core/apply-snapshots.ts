// Snapshots: taken and put back by the container's host, which the assignment tells; removed here at once, and by the host when it
// learns that the list lacks them. What is committed is the list: a host's tree that isn't in it is rubbish.

import { type ErrorCode, maxSnapshots, type Operation, type Snapshot } from '@drover/protocol'
import { runningOperation } from './apply-operations.ts'
import { refuseBusy } from './apply-power.ts'
import type { Draft } from './draft.ts'
import type { EntryOf } from './entries.ts'
import { beginOperation, begunBefore, endOperation } from './operations.ts'
import { describePreempted } from './preemption.ts'
import type { StoredContainer } from './state.ts'
import { hasVolumes } from './volumes.ts'

export const snapshotsOf = (container: StoredContainer): readonly Snapshot[] => container.snapshots ?? []

export function applySnapshotRequested(draft: Draft, entry: EntryOf<'SnapshotRequested'>): Operation {
  const before = begunBefore(draft, entry.operation, 'snapshot', entry.container)
  if (before) return before
  const container = draft.containerNamed(entry.container)
  const doing = `snapshot ${entry.name} of ${container.name}`
  refuseBusy(draft, container, 'snapshot')
  refuseState(draft, container, doing, entry.memory ? ['running'] : ['running', 'stopped', 'frozen'])
  if (entry.memory && hasVolumes(container.spec)) {
    refuse(draft, container, 'NOT_MIGRATABLE', `${doing} with memory: it has volumes, which are in no snapshot`)
  }
  const there = snapshotsOf(container)
  if (there.some(({ name }) => name === entry.name)) refuse(draft, container, 'NAME_TAKEN', `${doing}: it has one`)
  if (there.length >= maxSnapshots) {
    refuse(draft, container, 'LIMIT_REACHED', `${doing}: it has ${maxSnapshots} snapshots, the limit; delete one`)
  }
  draft.reassign({ ...container, operation: entry.operation })
  const { name, memory, expiresAtMs, scheduled } = entry
  return beginOperation(draft, {
    id: entry.operation,
    kind: 'snapshot',
    target: container.name,
    phase: 'taking',
    message: `${name} on ${container.host}`,
    parameters: { container: container.id, host: container.host, snapshot: name, memory, expiresAtMs, scheduled },
  })
}

/** The host has it: from now on it is one. */
export function applySnapshotTaken(draft: Draft, entry: EntryOf<'SnapshotTaken'>): Operation {
  const { operation, container } = underWay(draft, entry.operation, 'snapshot')
  const { snapshot, memory, expiresAtMs, scheduled } = operation.parameters
  const taken: Snapshot = {
    name: String(snapshot),
    createdAtMs: operation.createdAtMs,
    expiresAtMs: typeof expiresAtMs === 'number' ? expiresAtMs : null,
    memory: memory === true,
    scheduled: scheduled === true,
    sizeBytes: entry.sizeBytes,
  }
  draft.reassign({ ...container, snapshots: [...snapshotsOf(container), taken] })
  draft.event('snapshot.taken', container.name, `snapshot ${taken.name} of ${container.name} was taken`, operation.id)
  const parameters = { ...operation.parameters, figures: entry.figures }
  return endOperation(draft, { ...operation, parameters }, { state: 'done', message: taken.name, error: null })
}

export function applySnapshotRestoreRequested(draft: Draft, entry: EntryOf<'SnapshotRestoreRequested'>): Operation {
  const before = begunBefore(draft, entry.operation, 'snapshot-restore', entry.container)
  if (before) return before
  const container = draft.containerNamed(entry.container)
  const doing = `restore ${container.name} to ${entry.name}`
  refuseBusy(draft, container, 'snapshot-restore')
  const snapshot = requireSnapshot(draft, container, entry.name)
  if (!entry.start && (container.state === 'running' || container.state === 'frozen')) {
    const why = `${doing}: it is ${container.state}; stop it first, or ask for a restart with --start`
    refuse(draft, container, 'WRONG_STATE', why)
  }
  if (entry.start && snapshot.memory && hasVolumes(container.spec)) {
    const why = `${doing} with memory: it has volumes now, which its processes of then know nothing of; take them away first`
    refuse(draft, container, 'NOT_MIGRATABLE', why)
  }
  refuseState(draft, container, doing, ['running', 'stopped', 'frozen', 'failed'])
  if (entry.start && container.preempted !== undefined) {
    refuse(draft, container, 'WRONG_STATE', `${doing}: ${describePreempted(container.preempted)}; leave --start away`)
  }
  draft.reassign({ ...container, desired: 'stopped', operation: entry.operation })
  return beginOperation(draft, {
    id: entry.operation,
    kind: 'snapshot-restore',
    target: container.name,
    phase: 'restoring',
    message: `${entry.name} on ${container.host}`,
    parameters: {
      container: container.id,
      host: container.host,
      snapshot: entry.name,
      memory: entry.start && snapshot.memory,
      start: entry.start,
      desired: container.desired,
      starts: container.starts,
    },
  })
}

/** The old disk is back. With `start` the operation goes on until it runs. */
export function applySnapshotRestored(draft: Draft, entry: EntryOf<'SnapshotRestored'>): Operation {
  const { operation, container } = underWay(draft, entry.operation, 'snapshot-restore')
  const { snapshot, start } = operation.parameters
  const message = `${container.name} was put back to snapshot ${String(snapshot)}`
  draft.event('snapshot.restored', container.name, message, operation.id)
  const figures = entry.figures
  if (start !== true) {
    draft.reassign(container)
    const parameters = { ...operation.parameters, figures }
    return endOperation(draft, { ...operation, parameters }, { state: 'done', message: String(snapshot), error: null })
  }
  draft.reassign({ ...container, desired: 'running' })
  return draft.putOperation({
    ...operation,
    phase: 'starting',
    parameters: { ...operation.parameters, figures, starts: container.starts, phaseSinceMs: draft.atMs },
  })
}

export function applySnapshotDeleteRequested(draft: Draft, entry: EntryOf<'SnapshotDeleteRequested'>): Operation {
  const before = begunBefore(draft, entry.operation, 'snapshot-delete', entry.container)
  if (before) return before
  const container = draft.containerNamed(entry.container)
  refuseBusy(draft, container, 'snapshot-delete')
  requireSnapshot(draft, container, entry.name)
  removeSnapshots(draft, container, [entry.name])
  const operation = beginOperation(draft, {
    id: entry.operation,
    kind: 'snapshot-delete',
    target: container.name,
    phase: 'deleting',
    message: entry.name,
    parameters: { host: container.host, snapshot: entry.name },
  })
  return endOperation(draft, operation, { state: 'done', message: `${entry.name} is deleted`, error: null })
}

/** Their time is over, or newer ones have taken their places. */
export function applySnapshotsExpired(draft: Draft, entry: EntryOf<'SnapshotsExpired'>): null {
  const container = draft.containerWithId(entry.container, 'expire snapshots of')
  refuseBusy(draft, container, 'expire snapshots of')
  removeSnapshots(draft, container, entry.names)
  draft.event('snapshot.expired', container.name, `snapshots ${entry.names.join(', ')} have expired`, null)
  return null
}

export function requireSnapshot(draft: Draft, container: StoredContainer, name: string): Snapshot {
  const found = snapshotsOf(container).find((snapshot) => snapshot.name === name)
  return found ?? refuse(draft, container, 'SNAPSHOT_NOT_FOUND', `${container.name} has no snapshot ${name}`)
}

function removeSnapshots(draft: Draft, container: StoredContainer, names: readonly string[]): void {
  draft.reassign({ ...container, snapshots: snapshotsOf(container).filter(({ name }) => !names.includes(name)) })
}

function underWay(draft: Draft, id: string, kind: Operation['kind']) {
  const operation = runningOperation(draft, id)
  const container = draft.state.tables.containers.get(String(operation.parameters.container))
  if (operation.kind !== kind || operation.phase === 'starting' || !container) {
    return draft.refuse('WRONG_STATE', `operation ${id} is no ${kind} that waits for its host`, { operation: id })
  }
  return { operation, container }
}

function refuseState(draft: Draft, container: StoredContainer, doing: string, allowed: string[]): void {
  if (allowed.includes(container.state) && !container.deleting) return
  refuse(draft, container, 'WRONG_STATE', `${doing}: it is ${container.state}, not ${allowed.join(' or ')}`)
}

function refuse(draft: Draft, { name, state }: StoredContainer, code: ErrorCode, message: string): never {
  return draft.refuse(code, message, { container: name, state })
}

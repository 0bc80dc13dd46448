// A copy: a new container with an identity of its own, whose host fetches the disk of another one, or of a snapshot of it, before
// anything of it runs. The one that is copied is held for so long, so that it isn't moved or deleted meanwhile.

import type { CopyOrigin, Operation } from '@drover/protocol'
import { allocateIdentity } from './allocate.ts'
import { checkQuota, checkRoom } from './apply-launch.ts'
import { refuseBusy } from './apply-power.ts'
import { requireSnapshot } from './apply-snapshots.ts'
import type { Draft } from './draft.ts'
import type { EntryOf } from './entries.ts'
import { newContainer } from './new-container.ts'
import { beginOperation, begunBefore } from './operations.ts'
import type { ClusterState, StoredContainer } from './state.ts'

export const copied = ['running', 'stopped', 'frozen']

export function applyContainerCopied(draft: Draft, entry: EntryOf<'ContainerCopied'>): Operation {
  const before = begunBefore(draft, entry.operation, 'copy', entry.name)
  if (before) return before
  const source = draft.containerNamed(entry.container)
  const { name } = entry
  const doing = `copy ${source.name} to ${name}`
  refuseBusy(draft, source, 'copy')
  if (draft.state.idsByName.has(name)) {
    draft.refuse('NAME_TAKEN', `${doing}: a container of that name exists`, { container: name })
  }
  if (entry.snapshot !== null) requireSnapshot(draft, source, entry.snapshot)
  if (!copied.includes(source.state) || source.deleting) {
    draft.refuse('WRONG_STATE', `${doing}: it is ${source.state}, not ${copied.join(' or ')}`, {
      container: source.name,
    })
  }
  checkRoom(draft, entry.host, source.spec.requests, doing)
  checkQuota(draft, { name, spec: source.spec })
  const identity = allocateIdentity(draft, entry)
  const id = `c${identity.serial}`
  draft.write({ table: 'counters', key: 'counters', value: { nextSerial: identity.serial + 1 } })
  draft.putContainer({ ...source, operation: entry.operation })
  // First, so that the assignment can say where the disk comes from.
  const operation = beginOperation(draft, {
    id: entry.operation,
    kind: 'copy',
    target: name,
    phase: 'copying',
    message: `${source.name}${entry.snapshot === null ? '' : `/${entry.snapshot}`} to ${entry.host}`,
    parameters: { container: id, host: entry.host, starts: 0, source: source.id, snapshot: entry.snapshot },
  })
  const copy = newContainer(draft, { ...entry, spec: source.spec, identity }, entry.start ? 'running' : 'stopped')
  draft.reassign({ ...copy, snapshots: [], stopTimeoutMs: source.stopTimeoutMs })
  draft.event('container.copied', name, `${name} is a copy of ${source.name}, on ${entry.host}`, entry.operation)
  return operation
}

/** For the assignment of the new container, until its copy has ended. */
export function originOf(state: ClusterState, container: StoredContainer): CopyOrigin | null {
  const operation = container.operation === null ? undefined : state.tables.operations.get(container.operation)
  if (operation?.parameters.container !== container.id) return null
  if (operation.kind === 'import') return uploadOf(state, container, operation)
  if (operation.kind !== 'copy') return null
  const source = state.tables.containers.get(String(operation.parameters.source))
  if (!source) return null
  const { snapshot } = operation.parameters
  return {
    operation: operation.id,
    container: source.id,
    name: source.name,
    snapshot: typeof snapshot === 'string' ? snapshot : null,
    ...(operation.parameters.refresh === true ? { refresh: true } : {}),
    uidBase: source.spec.security?.privileged ? 0 : source.identity.uidBase,
    source: peerOf(state, source.host),
  }
}

function uploadOf(state: ClusterState, { id, name }: StoredContainer, operation: Operation): CopyOrigin {
  const disk = operation.parameters.disk as EntryOf<'ContainerImported'>['disk']
  return {
    operation: operation.id,
    container: id,
    name: disk.name ?? name,
    snapshot: null,
    uidBase: disk.uidBase,
    source: peerOf(state, disk.host),
    upload: { id: disk.upload, sha256: disk.sha256 },
  }
}

function peerOf(state: ClusterState, name: string): CopyOrigin['source'] {
  const host = state.tables.hosts.get(name)
  return { host: name, address: host?.address ?? '', streamPort: host?.streamPort ?? 0 }
}

// Export and import: a container's owner writes its disk into a file of its host; and a new container gets its disk from what was sent to
// a host. The import is a copy of no container: its own identity, and nothing runs before the disk is there.

import type { Operation } from '@drover/protocol'
import { allocateIdentity } from './allocate.ts'
import { checkQuota, checkRoom } from './apply-launch.ts'
import { refuseBusy } from './apply-power.ts'
import { requireSnapshot } from './apply-snapshots.ts'
import type { Draft } from './draft.ts'
import type { EntryOf } from './entries.ts'
import { newContainer } from './new-container.ts'
import { beginOperation, begunBefore } from './operations.ts'

const exported = ['running', 'stopped', 'frozen']

export function applyExportRequested(draft: Draft, entry: EntryOf<'ExportRequested'>): Operation {
  const before = begunBefore(draft, entry.operation, 'export', entry.container)
  if (before) return before
  const container = draft.containerNamed(entry.container)
  refuseBusy(draft, container, 'export')
  if (entry.snapshot !== null) requireSnapshot(draft, container, entry.snapshot)
  if (!exported.includes(container.state) || container.deleting) {
    draft.refuse('WRONG_STATE', `export ${container.name}: it is ${container.state}, not ${exported.join(' or ')}`, {
      container: container.name,
      state: container.state,
    })
  }
  draft.reassign({ ...container, operation: entry.operation })
  return beginOperation(draft, {
    id: entry.operation,
    kind: 'export',
    target: container.name,
    phase: 'packing',
    message: `on ${container.host}`,
    parameters: { container: container.id, host: container.host, snapshot: entry.snapshot, upload: entry.upload },
  })
}

export function applyContainerImported(draft: Draft, entry: EntryOf<'ContainerImported'>): Operation {
  const { name, spec, disk } = entry
  const before = begunBefore(draft, entry.operation, 'import', name)
  if (before) return before
  if (draft.state.idsByName.has(name)) {
    draft.refuse('NAME_TAKEN', `import ${name}: a container of that name exists`, { container: name })
  }
  draft.host(disk.host)
  checkRoom(draft, entry.host, spec.requests, `import ${name}`)
  checkQuota(draft, { name, spec })
  const identity = allocateIdentity(draft, entry)
  const container = newContainer(draft, { ...entry, identity }, entry.start ? 'running' : 'stopped')
  draft.write({ table: 'counters', key: 'counters', value: { nextSerial: identity.serial + 1 } })
  // First, so that the assignment can say where the disk comes from.
  const operation = beginOperation(draft, {
    id: entry.operation,
    kind: 'import',
    target: name,
    phase: 'unpacking',
    message: `from ${disk.host} to ${entry.host}`,
    parameters: { container: container.id, host: entry.host, starts: 0, disk },
  })
  draft.reassign(container)
  draft.event('container.imported', name, `${name} was imported, on ${entry.host}`, entry.operation)
  return operation
}

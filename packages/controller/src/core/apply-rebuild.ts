// rebuild: the same container, with its name, addresses, uids and settings, on a fresh disk of its image or of another. Its epoch changes
// hands once more, to itself: what its host has of an older one is removed, and a new disk is made under the new one.

import type { Operation } from '@drover/protocol'
import { refuseBusy } from './apply-power.ts'
import { snapshotsOf } from './apply-snapshots.ts'
import type { Draft } from './draft.ts'
import type { EntryOf } from './entries.ts'
import { begunAnew } from './new-container.ts'
import { beginOperation, begunBefore } from './operations.ts'

const standing = ['stopped', 'failed', 'pending']
const alive = ['running', 'frozen']

export function applyRebuildRequested(draft: Draft, entry: EntryOf<'RebuildRequested'>): Operation {
  const before = begunBefore(draft, entry.operation, 'rebuild', entry.container)
  if (before) return before
  const container = draft.containerNamed(entry.container)
  const { name, state, host } = container
  refuseBusy(draft, container, 'rebuild')
  if (alive.includes(state) && !entry.force) {
    draft.refuse('WRONG_STATE', `rebuild ${name}: it is ${state}; stop it first, or end it with --force`, {
      container: name,
      state,
    })
  }
  if (![...standing, ...alive].includes(state) || container.deleting) {
    draft.refuse('WRONG_STATE', `rebuild ${name}: it is ${state}`, { container: name, state })
  }
  const kept = snapshotsOf(container).map((snapshot) => snapshot.name)
  if (kept.length > 0) {
    draft.refuse(
      'WRONG_STATE',
      `rebuild ${name}: its snapshots would go with its disk; delete ${kept.join(', ')} first`,
      {
        container: name,
      },
    )
  }
  if (container.spec.lifecycle?.protected) {
    const hint = `drover set ${name} protection.delete=false`
    draft.refuse('WRONG_STATE', `rebuild ${name}: its disk is protected from deletion; first: ${hint}`, {
      container: name,
    })
  }
  const epoch = container.epoch + 1
  draft.reassign({
    ...begunAnew(container, epoch),
    spec: { ...container.spec, ...entry.image },
    diskEpoch: epoch,
    operation: entry.operation,
  })
  draft.event('container.rebuilt', name, `${name} gets a fresh disk of image ${entry.image.imageName}`, entry.operation)
  return beginOperation(draft, {
    id: entry.operation,
    kind: 'rebuild',
    target: name,
    phase: 'rebuilding',
    message: `of ${entry.image.imageName} on ${host}`,
    parameters: { container: container.id, host, starts: 0 },
  })
}

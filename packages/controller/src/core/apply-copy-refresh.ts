// A copy brought up to date: a container that is there and off gets the disk of another one, or of a snapshot of it, in place of its own.
// Name, identity, settings and snapshots stay. Both are held for so long; until the new disk is whole, the old one is its disk.

import type { Operation } from '@drover/protocol'
import { copied } from './apply-copy.ts'
import { refuseBusy } from './apply-power.ts'
import { requireSnapshot } from './apply-snapshots.ts'
import type { Draft } from './draft.ts'
import type { EntryOf } from './entries.ts'
import { beginOperation, begunBefore } from './operations.ts'

export function applyCopyRefreshed(draft: Draft, entry: EntryOf<'CopyRefreshed'>): Operation {
  const before = begunBefore(draft, entry.operation, 'copy', entry.name)
  if (before) return before
  const source = draft.containerNamed(entry.container)
  const target = draft.containerNamed(entry.name)
  const doing = `refresh ${target.name} from ${source.name}`
  const refuse = (why: string) =>
    draft.refuse('WRONG_STATE', `${doing}: ${why}`, { container: target.name, state: target.state })
  if (source.id === target.id) draft.refuse('BAD_REQUEST', `${doing}: they are the same`, { container: target.name })
  refuseBusy(draft, source, 'copy')
  refuseBusy(draft, target, 'copy')
  if (entry.snapshot !== null) requireSnapshot(draft, source, entry.snapshot)
  if (!copied.includes(source.state) || source.deleting) {
    refuse(`${source.name} is ${source.state}, not ${copied.join(' or ')}`)
  }
  if (target.state !== 'stopped' || target.desired !== 'stopped' || target.deleting) {
    const hint = target.state === 'running' || target.state === 'frozen' ? `; first: drover stop ${target.name}` : ''
    refuse(`${target.name} is ${target.state === 'stopped' ? 'about to start' : target.state}, not stopped${hint}`)
  }
  // What is written lies above the image's files: above others it would mean something else.
  if (source.spec.image !== target.spec.image) {
    const hint = `drover rebuild ${target.name} ${source.spec.imageName}`
    refuse(`${target.name} is of another image than ${source.name} (${source.spec.imageName}); first: ${hint}`)
  }
  if (target.spec.lifecycle?.protected) {
    const hint = `drover set ${target.name} protection.delete=false`
    refuse(`the disk of ${target.name} is protected from deletion; first: ${hint}`)
  }
  draft.putContainer({ ...source, operation: entry.operation })
  const operation = beginOperation(draft, {
    id: entry.operation,
    kind: 'copy',
    target: target.name,
    phase: 'copying',
    message: `${source.name}${entry.snapshot === null ? '' : `/${entry.snapshot}`} to ${target.host}`,
    parameters: {
      container: target.id,
      host: target.host,
      starts: target.starts,
      source: source.id,
      snapshot: entry.snapshot,
      refresh: true,
    },
  })
  draft.reassign({ ...target, operation: entry.operation })
  const message = `${target.name} gets the disk of ${source.name} in place of its own`
  draft.event('container.refreshed', target.name, message, entry.operation)
  return operation
}

// rename: another name for the same container. The id stays, and with it all that hosts keep of it; done as soon as it is committed, and
// its host learns the new name by its assignment, for the hostname.

import type { Operation } from '@drover/protocol'
import { refuseBusy } from './apply-power.ts'
import type { Draft } from './draft.ts'
import type { EntryOf } from './entries.ts'
import { beginOperation, begunBefore, endOperation } from './operations.ts'

export function applyContainerRenamed(draft: Draft, entry: EntryOf<'ContainerRenamed'>): Operation {
  const before = begunBefore(draft, entry.operation, 'rename', entry.container)
  if (before) return before
  const container = draft.containerNamed(entry.container)
  const { name } = entry
  const doing = `rename ${container.name} to ${name}`
  refuseBusy(draft, container, 'rename')
  if (container.deleting) {
    draft.refuse('WRONG_STATE', `${doing}: it is being deleted`, { container: container.name, state: container.state })
  }
  if (draft.state.idsByName.has(name)) {
    draft.refuse('NAME_TAKEN', `${doing}: a container of that name exists`, { container: name })
  }
  draft.reassign({ ...container, name })
  const operation = beginOperation(draft, {
    id: entry.operation,
    kind: 'rename',
    target: container.name,
    phase: 'done',
    message: '',
    parameters: { name },
  })
  draft.event('container.renamed', name, `${container.name} is named ${name} now`, entry.operation)
  return endOperation(draft, operation, { state: 'done', message: `its name is ${name}`, error: null })
}

// Images: a build on one host, and the image that it registers under its name.

import type { Image, Operation } from '@drover/protocol'
import { runningOperation } from './apply-operations.ts'
import type { Draft } from './draft.ts'
import type { EntryOf } from './entries.ts'
import { beginOperation, begunBefore, endOperation } from './operations.ts'

export function applyImageBuildStarted(draft: Draft, entry: EntryOf<'ImageBuildStarted'>): Operation {
  const before = begunBefore(draft, entry.operation, 'image-build', entry.name)
  if (before) return before
  draft.host(entry.host)
  for (const id of draft.state.running) {
    const other = draft.state.tables.operations.get(id)!
    if (other.kind === 'image-build' && other.target === entry.name) {
      draft.refuse('BUSY', `build image ${entry.name}: its build ${id} is under way`, { operation: id })
    }
  }
  return beginOperation(draft, {
    id: entry.operation,
    kind: 'image-build',
    target: entry.name,
    phase: 'building',
    message: `${entry.recipe} on ${entry.host}`,
    parameters: { recipe: entry.recipe, host: entry.host },
  })
}

export function applyImageRegistered(draft: Draft, entry: EntryOf<'ImageRegistered'>): Image {
  const operation = runningOperation(draft, entry.operation)
  const { image } = entry
  draft.write({ table: 'images', key: image.name, value: image })
  draft.event('image.registered', image.name, `image ${image.name} is ${image.digest}`, operation.id)
  endOperation(draft, operation, { state: 'done', message: image.digest, error: null })
  return image
}

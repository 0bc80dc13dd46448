// Images: one that is built or made on a host, registered under its name; other names for it, properties, and its removal.

import type { Image, ImageOrigin, ImageProperties, Operation } from '@drover/protocol'
import { runningOperation } from './apply-operations.ts'
import { refuseBusy } from './apply-power.ts'
import { requireSnapshot } from './apply-snapshots.ts'
import { makesImages } from './assignments.ts'
import type { Draft } from './draft.ts'
import type { EntryOf } from './entries.ts'
import { beginOperation, begunBefore, endOperation } from './operations.ts'

export function applyImageBuildStarted(draft: Draft, entry: EntryOf<'ImageBuildStarted'>): Operation {
  const before = begunBefore(draft, entry.operation, 'image-build', entry.name)
  if (before) return before
  draft.host(entry.host)
  refuseWhileMade(draft, entry.name, 'build')
  const { recipe, properties: said } = entry
  return beginOperation(draft, {
    id: entry.operation,
    kind: 'image-build',
    target: entry.name,
    phase: 'building',
    message: `${entry.recipe} on ${entry.host}`,
    parameters: {
      recipe,
      host: entry.host,
      ...(said === undefined ? {} : { properties: said }),
      origin: { kind: 'recipe', recipe, ...(said === undefined ? {} : { said }) } satisfies ImageOrigin,
    },
  })
}

/** For the image, once it is there. */
function originOf({ source, properties: said, origin }: EntryOf<'ImageMakingStarted'>): { origin?: ImageOrigin } {
  if (source.kind === 'container') {
    const { container, snapshot } = source
    return { origin: { kind: 'container', container, snapshot, said } }
  }
  if (origin === undefined) return {}
  return { origin: { kind: 'archive', from: origin, sha256: source.sha256, init: source.init, said } }
}

const publishable = ['running', 'stopped', 'frozen']

export function applyImageMakingStarted(draft: Draft, entry: EntryOf<'ImageMakingStarted'>): Operation {
  const { kind, name, source, properties } = entry
  const before = begunBefore(draft, entry.operation, kind, name)
  if (before) return before
  draft.host(entry.host)
  refuseWhileMade(draft, name, kind === 'publish' ? 'publish as' : 'import')
  if (source.kind === 'upload') {
    return beginOperation(draft, {
      id: entry.operation,
      kind,
      target: name,
      phase: 'importing',
      message: `on ${entry.host}`,
      parameters: { host: entry.host, image: source, properties, ...originOf(entry) },
    })
  }
  const container = draft.containerNamed(source.container)
  refuseBusy(draft, container, 'publish')
  if (source.snapshot !== null) requireSnapshot(draft, container, source.snapshot)
  if (!publishable.includes(container.state) || container.deleting || container.host !== entry.host) {
    const { host, state } = container
    draft.refuse(
      'WRONG_STATE',
      `publish ${container.name}: it is ${state} on ${host}, not ${publishable.join(' or ')}`,
      {
        container: container.name,
      },
    )
  }
  draft.putContainer({ ...container, operation: entry.operation })
  return beginOperation(draft, {
    id: entry.operation,
    kind,
    target: name,
    phase: 'publishing',
    message: `${container.name}${source.snapshot === null ? '' : `/${source.snapshot}`} on ${entry.host}`,
    parameters: {
      host: entry.host,
      container: container.id,
      image: { ...source, container: container.id },
      properties: { ...properties, source: container.name },
      ...originOf(entry),
    },
  })
}

export function applyImageChanged(draft: Draft, entry: EntryOf<'ImageChanged'>): Operation {
  const before = begunBefore(draft, entry.operation, 'image-set', entry.name)
  if (before) return before
  const { name, change } = entry
  const image = draft.state.tables.images.get(name)
  if (!image) return draft.refuse('IMAGE_NOT_FOUND', `change image ${name}: there is none`, { image: name })
  if (change === 'remove') refuseWhileMade(draft, name, 'remove')
  else if (change.alias !== undefined && draft.state.tables.images.has(change.alias)) {
    draft.refuse('NAME_TAKEN', `alias ${change.alias} of image ${name}: an image of that name exists`, { image: name })
  }
  const message =
    change === 'remove' ? 'removed' : change.alias === undefined ? 'changed' : `is ${change.alias} as well`
  if (change === 'remove') draft.write({ table: 'images', key: name, value: null })
  else {
    const changed = (before: ImageProperties = {}): ImageProperties => {
      const merged = Object.entries({ ...before, ...change.properties })
      return Object.fromEntries(merged.filter((each): each is [string, string] => each[1] !== null))
    }
    const key = change.alias ?? name
    const origin = image.origin && { origin: { ...image.origin, said: changed(image.origin.said) } }
    draft.write({
      table: 'images',
      key,
      value: { ...image, ...origin, name: key, properties: changed(image.properties) },
    })
  }
  draft.event(
    change === 'remove' ? 'image.removed' : 'image.changed',
    name,
    `image ${name}: ${message}`,
    entry.operation,
  )
  const facts = { id: entry.operation, kind: 'image-set', target: name, phase: 'changing', message } as const
  return endOperation(draft, beginOperation(draft, facts), { state: 'done', message, error: null })
}

function refuseWhileMade(draft: Draft, name: string, doing: string): void {
  for (const id of draft.state.running) {
    const other = draft.state.tables.operations.get(id)!
    if (makesImages(other.kind) && other.target === name) {
      draft.refuse('BUSY', `${doing} image ${name}: its ${other.kind} ${id} is under way`, { operation: id })
    }
  }
}

export function applyImageRegistered(draft: Draft, entry: EntryOf<'ImageRegistered'>): Image {
  const operation = runningOperation(draft, entry.operation)
  const { image } = entry
  draft.write({ table: 'images', key: image.name, value: image })
  draft.event('image.registered', image.name, `image ${image.name} is ${image.digest}`, operation.id)
  endOperation(draft, operation, { state: 'done', message: image.digest, error: null })
  return image
}

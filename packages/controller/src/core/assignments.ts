// From the committed state to what each host shall do. An assignment's revision is the log index at which what it says last
// changed, so repeating one is harmless and an old one is recognised.

import type {
  Assignment,
  AssignmentBatch,
  HostReport,
  ImageSource,
  ImageTask,
  Migration,
  Operation,
  Peer,
} from '@drover/protocol'
import { originOf } from './apply-copy.ts'
import { snapshotsOf } from './apply-snapshots.ts'
import { imagesToKeep } from './healing.ts'
import { type ClusterState, nextSerial, type StoredContainer } from './state.ts'
import { assignedVolumes, hasVolumes, volumesToDrop } from './volumes.ts'

export interface HostAssignment {
  host: string
  assignment: Assignment
}

/**
 * What every host that has to do with the container shall do, in the order in which they should learn it: after the
 * commit of a move the destination first, since the container is frozen until it knows. A host that isn't among them and
 * has something of it learns so by its complete batch.
 */
export function assignmentsOf(state: ClusterState, container: StoredContainer): HostAssignment[] {
  const operation = container.operation === null ? undefined : state.tables.operations.get(container.operation)
  if (operation?.migration) return migrating(state, container, operation, operation.migration)
  return [assign(state, container, container.host, container.deleting ? 'none' : 'owner', container.epoch, null)]
}

/** All that a host has: the answer to its pull. `leftovers`, `volumes`: those that it has reported. */
export function completeBatch(
  state: ClusterState,
  host: string,
  term: number,
  { leftovers = [], volumes = [] }: Pick<HostReport, 'leftovers' | 'volumes'> = {},
): AssignmentBatch {
  const assignments: Assignment[] = []
  for (const container of state.tables.containers.values()) {
    if (!concerns(state, container, host)) continue
    for (const each of assignmentsOf(state, container)) if (each.host === host) assignments.push(each.assignment)
  }
  const keepImages = imagesToKeep(state, host)
    .filter((digest) => !state.tables.hosts.get(host)?.images.includes(digest))
    .map((digest) => ({ digest, sources: imageSources(state, digest, host) }))
  return {
    term,
    index: state.index,
    complete: true,
    assignments,
    imageTasks: imageTasksOf(state, host),
    images: imagesOf(state),
    ...(keepImages.length === 0 ? {} : { keepImages }),
    dropVolumes: volumesToDrop(state, volumes),
    removedHosts: [...state.tables.removedHosts.keys()].sort(),
    leftovers: {
      mostBytes: state.tables.hosts.get(host)?.leftoverBytes ?? null,
      drop: leftovers.flatMap(({ container }) => (state.tables.containers.has(container) ? [] : [container])),
    },
  }
}

export const makesImages = (kind: Operation['kind']): boolean =>
  kind === 'image-build' || kind === 'image-import' || kind === 'publish'

export function imageTasksOf(state: ClusterState, host: string): ImageTask[] {
  const tasks: ImageTask[] = []
  for (const id of state.running) {
    const { kind, target, parameters, revision } = state.tables.operations.get(id)!
    if (!makesImages(kind) || parameters.host !== host) continue
    const source = parameters.image as ImageSource | undefined
    const recipe = typeof parameters.recipe === 'string' ? parameters.recipe : ''
    tasks.push({ operation: id, recipe, name: target, revision, ...(source === undefined ? {} : { source }) })
  }
  return tasks
}

/** Digests of all images that have a name or a container. */
function imagesOf(state: ClusterState): string[] {
  const digests = new Set([...state.tables.images.values()].map(({ digest }) => digest))
  for (const { spec } of state.tables.containers.values()) digests.add(spec.image)
  return [...digests].sort()
}

/**
 * A container that this state never made. A host that has one belongs to another cluster, or our state was lost: then a
 * complete batch, which makes it remove what is not in it, must not be sent.
 */
export function neverMade(state: ClusterState, container: string): boolean {
  const serial = /^c(\d+)$/.exec(container)?.[1]
  return serial === undefined || Number(serial) >= nextSerial(state)
}

function migrating(
  state: ClusterState,
  container: StoredContainer,
  operation: Operation,
  migration: Migration,
): HostAssignment[] {
  const { phase, mode, source, destination, nextEpoch, terms, precopiesAtOnce } = migration
  const facts = {
    operation: operation.id,
    phase,
    mode,
    source: peer(state, source),
    destination: peer(state, destination),
    ...(terms === undefined ? {} : { terms }),
    ...(precopiesAtOnce === undefined ? {} : { precopiesAtOnce }),
  }
  const there = assign(state, container, destination, 'destination', nextEpoch, facts)
  const here = assign(state, container, source, 'source', nextEpoch - 1, facts)
  return phase === 'aborted' ? [here, there] : [there, here]
}

function assign(
  state: ClusterState,
  container: StoredContainer,
  host: string,
  role: Assignment['role'],
  epoch: number,
  migration: Assignment['migration'],
): HostAssignment {
  const { id, name, desired, spec, identity, assignedRevision, stopTimeoutMs, diskEpoch } = container
  const assignment: Assignment = {
    container: id,
    name,
    revision: assignedRevision,
    role,
    epoch,
    ...(diskEpoch === undefined ? {} : { diskEpoch }),
    desired,
    ...(stopTimeoutMs === null ? {} : { stopTimeoutMs }),
    spec,
    identity,
    ...volumesFor(state, container, role),
    snapshots: snapshotsOf(container).map((snapshot) => snapshot.name),
    ...snapshotTaskOf(state, container),
    ...exportTaskOf(state, container),
    ...copyOf(state, container),
    imageSources: role === 'none' ? [] : imageSources(state, spec.image, host),
    migration,
  }
  return { host, assignment }
}

function volumesFor(
  state: ClusterState,
  container: StoredContainer,
  role: Assignment['role'],
): Pick<Assignment, 'volumes'> {
  if (role === 'none' || !hasVolumes(container.spec)) return {}
  return { volumes: assignedVolumes(state, container, role === 'destination' ? 'destination' : 'owner') }
}

/** What its owner shall do once for the operation under way. */
function snapshotTaskOf(state: ClusterState, container: StoredContainer): Pick<Assignment, 'snapshotTask'> {
  const operation = container.operation === null ? undefined : state.tables.operations.get(container.operation)
  if (!operation || operation.phase === 'starting' || operation.state !== 'running') return {}
  const kind = { snapshot: 'create', 'snapshot-restore': 'restore' }[operation.kind as string] as 'create' | undefined
  if (kind === undefined) return {}
  const { snapshot, memory } = operation.parameters
  return { snapshotTask: { operation: operation.id, kind, name: String(snapshot), memory: memory === true } }
}

function exportTaskOf(state: ClusterState, container: StoredContainer): Pick<Assignment, 'exportTask'> {
  const operation = container.operation === null ? undefined : state.tables.operations.get(container.operation)
  if (operation?.kind !== 'export' || operation.state !== 'running') return {}
  const { upload, snapshot } = operation.parameters
  const task = { operation: operation.id, upload: String(upload) }
  return { exportTask: { ...task, snapshot: typeof snapshot === 'string' ? snapshot : null } }
}

function copyOf(state: ClusterState, container: StoredContainer): Pick<Assignment, 'origin'> {
  const origin = originOf(state, container)
  return origin ? { origin } : {}
}

function imageSources(state: ClusterState, digest: string, except: string): Peer[] {
  const sources = new Set<string>()
  for (const { name, images } of state.tables.hosts.values()) if (images.includes(digest)) sources.add(name)
  // Just built: its host's list may be committed a moment later.
  for (const image of state.tables.images.values()) if (image.digest === digest) sources.add(image.builtOn)
  return [...sources]
    .filter((host) => host !== except && !state.tables.silences.has(host))
    .map((host) => peer(state, host))
}

function peer(state: ClusterState, host: string): Peer {
  const known = state.tables.hosts.get(host)
  return { host, address: known?.address ?? '', streamPort: known?.streamPort ?? 0 }
}

function concerns(state: ClusterState, container: StoredContainer, host: string): boolean {
  if (container.host === host) return true
  const migration = container.operation === null ? null : state.tables.operations.get(container.operation)?.migration
  return migration?.source === host || migration?.destination === host
}

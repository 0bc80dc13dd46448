// The destination's side of a migration: make ready, take the disk while the container still runs on the source, then take memory
// and the last changes, and restore at once: that is safe before the outcome is known, since a restored container stays frozen until
// it is released. What the stream brings drives it; it runs beside the reconciler, which steps in when the outcome is known.

import { type Assignment, DroverError } from '@drover/protocol'
import { engineDeadlines } from '../engine-port.ts'
import { type AgentParts, callAndMirror } from '../parts.ts'
import { receiveSnapshots } from '../snapshots/travel.ts'
import { engineSpec } from '../steps/engine-spec.ts'
import { StreamFrameType, type StreamMessage } from '../streams/messages.ts'
import { decodeStreamMessage, idleDeadlineMs, type StreamConnection } from '../streams/stream-connection.ts'
import { makeSockets, removePaths } from './apply-delta.ts'
import { ArrivingTree } from './arriving-tree.ts'
import { checkpointDirectory } from './checkpoint-directory.ts'
import { ParentImages } from './memory-ahead.ts'
import { MemoryFileWriter } from './memory-files.ts'
import { receivePackedLayer, unpackLayer } from './packed-layer.ts'
import { WrittenPages } from './pages-ahead.ts'
import { raise, receiveArchive, unexpected } from './receive-archive.ts'
import { receiveLaterPatch, receiveUnlike, sendIndex } from './receive-unlike.ts'
import { receiveVolume, requireSameVolumes } from './receive-volumes.ts'
import type { MigrationSession } from './session.ts'
import { requireCriu } from './source.ts'
import { syncArrived, syncLastChanges } from './sync-arrived.ts'
import { keepDeltaExtractionReady, startDeltaExtraction, startExtraction } from './tar-process.ts'
import { throttleDestination } from './throttle.ts'
import { requireSameTree, TreeCheck } from './tree-check.ts'
import { WhileOpen } from './while-open.ts'

type Moving = Assignment & { migration: NonNullable<Assignment['migration']> }
type Message<K extends StreamMessage['kind']> = Extract<StreamMessage, { kind: K }>

type Sums = Pick<Message<'complete'>, 'tree' | 'volumes'>

interface Arriving {
  parts: AgentParts
  session: MigrationSession
  assignment: Moving
  connection: StreamConnection
  disk: ArrivingTree
  volumes: ReadonlyMap<string, ArrivingTree>
  /** Restores, when the disk and the volumes are as they were sent. */
  begin(sent: Sums): Promise<void>
}

/** The controller's own deadlines end a move long before; this is only so that nothing waits for ever. */
const switchDeadlineMs = 15 * 60_000

/** A source that comes sooner than it need have waits so long; refused, it comes again when it is told to. */
const readyWithinMs = 1_000

const registered = new WhileOpen<Moving>()

export async function prepareDestination(
  parts: AgentParts,
  session: MigrationSession,
  assignment: Moving,
): Promise<void> {
  const startedAt = performance.now()
  const { container, epoch, spec, imageSources, migration } = assignment
  await parts.faults.at('destination.preparing')
  if (migration.mode !== 'cold') requireCriu(parts, assignment)
  await parts.fetcher.ensure(spec.image, imageSources)
  const stale = parts.mirror.get(container)
  if (stale && stale.epoch > epoch) {
    throw new DroverError(
      'STALE_EPOCH',
      `move ${assignment.name} to ${parts.host}: it has epoch ${stale.epoch} here already, not ${epoch}`,
    )
  }
  if (stale) {
    await parts.engine.call('delete', { container, epoch }, { deadlineMs: engineDeadlines.delete })
    parts.mirror.forget(container)
  }
  session.signal.throwIfAborted()
  registered.set(session, assignment)
  session.figures.image_ms = performance.now() - startedAt
  session.advance('prepared')
}

/** The source has connected, perhaps before this side was ready. Throws when nothing waits for it here; a failure later fails the session. */
export async function acceptMigration(
  parts: AgentParts,
  connection: StreamConnection,
  operation: string,
  container: string,
): Promise<void> {
  await parts.sessions.untilPrepared(operation, readyWithinMs)
  // It may come again.
  if (connection.ended) throw connection.ended
  const session = parts.sessions.get(operation)
  const assignment = session && registered.get(session)
  if (!session || !assignment || session.container !== container || session.step !== 'prepared') {
    throw new DroverError(
      'WRONG_STATE',
      `stream for operation ${operation.slice(0, 64)}: host ${parts.host} does not wait for it`,
    )
  }
  registered.delete(session)
  session.defer(() => (session.step === 'released' ? connection.giveBack() : connection.destroy()))
  receiveAll(parts, session, assignment, connection).catch((thrown) => {
    // First: failing the session closes the connection.
    connection.refuse(DroverError.from(thrown))
    session.fail(thrown)
  })
}

async function receiveAll(
  parts: AgentParts,
  session: MigrationSession,
  assignment: Moving,
  connection: StreamConnection,
): Promise<void> {
  const live = assignment.migration.mode !== 'cold'
  const leftover = parts.leftovers.has(assignment.container)
  const unpacks = parts.mirror.hello?.packsLayers === true
  const patches = parts.mirror.hello?.patchesFiles === true
  const takesVolumes = parts.mirror.hello?.volumes === true ? { volumes: true } : {}
  const offers = {
    ...takesVolumes,
    ...(leftover ? { leftover } : {}),
    ...(unpacks ? { unpacks } : {}),
    ...(patches ? { patches } : {}),
  }
  await connection.sendMessage({ kind: 'accepted', verifies: true, overlaps: true, ...offers })
  throttleDestination(parts, connection, assignment.migration.terms)
  const checkpoint = checkpointDirectory(parts.checkpointRoot, assignment.migration.operation, true)
  session.defer(checkpoint.remove)
  const { upper, packed, volumes } = await receiveDisk(parts, session, assignment, connection, checkpoint.directory)
  await parts.faults.at('destination.disk-received')
  const tree = packed
    ? await unpackLayer(parts, session, assignment, packed)
    : await TreeCheck.begin(parts, session, assignment)
  if (!tree.synced) await syncArrived(upper, packed !== null, session.signal)
  keepDeltaExtractionReady()
  await connection.sendMessage({ kind: 'disk-received', bytes: connection.bytesReceived })
  session.advance('precopied')

  const disk = new ArrivingTree(upper, tree, session.figures)
  const begin = async (sent: Sums) => {
    // A source of an earlier version doesn't say.
    if (sent.tree) requireSameTree(`move ${assignment.name}: the disk`, sent.tree, await disk.sum())
    await requireSameVolumes(assignment, volumes, sent.volumes)
    await parts.faults.at('destination.restoring')
    if (live) await restore(parts, session, assignment, checkpoint.directory)
  }
  const arriving = { parts, session, assignment, connection, disk, volumes, begin }
  const { restoring, switched } = await receiveSwitch(arriving, checkpoint.directory)
  session.figures.sourceFrozenAtNs = switched.frozenAtNs
  if (live) parts.switched.add(assignment.migration.operation)
  await restoring
  const synced = syncLastChanges(parts, [disk, ...volumes.values()])
  // Nobody waits for a container that has been stopped.
  if (!live) await synced
  await parts.faults.at('destination.restored')
  session.advance('restored')
}

async function receiveDisk(
  parts: AgentParts,
  session: MigrationSession,
  assignment: Moving,
  connection: StreamConnection,
  directory: string,
): Promise<{ upper: string; packed: Buffer | null; volumes: Map<string, ArrivingTree> }> {
  const message = await connection.receiveMessage()
  if (message.kind !== 'disk') throw unexpected(message)
  const spec = engineSpec(parts, assignment)
  const { startedAtMs, starts, frozen = false, memoryRoomBytes = 0 } = message
  const { upper } =
    assignment.migration.mode !== 'cold'
      ? await callAndMirror(
          parts,
          'prepareRestore',
          { spec, startedAtMs, starts, directory, ...(frozen ? { frozen, memoryRoomBytes } : {}) },
          engineDeadlines.start,
        )
      : await callAndMirror(parts, 'create', { spec }, engineDeadlines.start)
  session.signal.throwIfAborted()
  const of = { container: assignment.container, epoch: assignment.epoch }
  if (message.compares === true) await receiveUnlike({ parts, session, connection, of, upper })
  else parts.leftovers.drop(assignment.container)
  await makeSockets(upper, message.sockets)
  await parts.faults.at('destination.disk-receiving')
  const packed = message.packed === true ? await receivePackedLayer(connection) : null
  if (!packed) await receiveArchive(connection, startExtraction(session, upper))
  let next = await connection.receiveMessage()
  if (next.kind === 'snapshots') {
    await receiveSnapshots(session, connection, upper, next.sockets)
    next = await connection.receiveMessage()
  }
  const volumes = new Map<string, ArrivingTree>()
  for (; next.kind === 'volume'; next = await connection.receiveMessage())
    volumes.set(next.id, await receiveVolume({ parts, session, connection, assignment }, next))
  if (next.kind !== 'disk-sent') throw unexpected(next)
  return { upper, packed, volumes }
}

/** Takes memory files and the delta until the source says that its dump has succeeded. What is restored is so sooner, if all is there. */
async function receiveSwitch(
  { parts, session, assignment, connection, disk, volumes, begin }: Arriving,
  directory: string,
): Promise<{ switched: Message<'switched'>; restoring: Promise<void> }> {
  const written = new WrittenPages(directory)
  let files = new MemoryFileWriter(directory)
  let parent: ParentImages | null = null
  session.defer(() => {
    files.close()
    parent?.close()
    written.close()
  })
  let tree = disk
  let restoring: Promise<void> | null = null
  let deadlineMs = switchDeadlineMs
  let stages = true
  for (;;) {
    const frame = await connection.receive(deadlineMs)
    if (frame.type === StreamFrameType.data && files.open) {
      files.write(frame.payload)
      continue
    }
    if (frame.type === StreamFrameType.data && written.open) {
      written.write(frame.payload)
      continue
    }
    if (frame.type === StreamFrameType.data && parent?.open) {
      const laid = parent.write(frame.payload)
      if (laid !== null && stages) stages = await stageMemory(parts, assignment, { directory, ...laid })
      continue
    }
    const message = decodeStreamMessage(frame)
    if (files.open || parent?.open || written.open) throw unexpected(message)
    if (restoring) {
      if (message.kind !== 'switched') throw unexpected(message)
      return { switched: message, restoring }
    }
    // What goes ahead of the freeze may take its time.
    if (!goesAhead(message)) {
      deadlineMs = idleDeadlineMs
      connection.throttleReceiving(null)
    }
    if (message.kind === 'parent' && parent === null) {
      parent = new ParentImages(directory, message.sparse)
      files = new MemoryFileWriter(parent.directory)
      files.begin(message.files)
    } else if (message.kind === 'pages' && parent !== null) {
      parent.begin(message.sizeBytes)
      await parts.faults.at('destination.pages-receiving')
    } else if (message.kind === 'memory') {
      files = new MemoryFileWriter(directory, written)
      files.begin(message.files)
      await parts.faults.at('destination.memory-receiving')
    } else if (message.kind === 'written') {
      written.begin(message)
    } else if (message.kind === 'compare') {
      await sendIndex(connection, await tree.check.details(session, message.paths))
    } else if (message.kind === 'patch') {
      tree.written = true
      if (message.ahead !== true) await parts.faults.at('destination.delta-receiving')
      const time = await receiveLaterPatch(connection, tree.root, message)
      if (time) tree.times.push(time)
    } else if (message.kind === 'delta') {
      await parts.faults.at('destination.delta-receiving')
      if (message.archive || message.deletions.length > 0 || message.sockets.length > 0) tree.written = true
      await receiveDelta(session, connection, tree, message)
      tree.changed()
    } else if (message.kind === 'names') await tree.keepOnly(message)
    else if (message.kind === 'changed') tree.paths.push(...message.paths)
    else if (message.kind === 'volume-delta') tree = volumes.get(message.id) ?? raise(unexpected(message))
    else if (message.kind === 'complete' || message.kind === 'switched') {
      restoring = begin(message)
      restoring.catch(() => {})
      if (message.kind === 'switched') return { switched: message, restoring }
    } else throw unexpected(message)
  }
}

const goesAhead = (message: StreamMessage): boolean =>
  message.kind === 'parent' ||
  message.kind === 'pages' ||
  message.kind === 'compare' ||
  (message.kind === 'patch' && message.ahead === true)

/** Into the pages that the processes will have; false: no more of it. Only an improvement: without it the restore reads all of them. */
async function stageMemory(
  parts: AgentParts,
  { container, epoch }: Moving,
  laid: { directory: string; part: number; bytes: number },
): Promise<boolean> {
  const call = parts.engine.call('stageMemory', { container, epoch, ...laid }, { deadlineMs: engineDeadlines.start })
  return await call.then(
    ({ staged }) => staged,
    (thrown) => {
      parts.log.warn({ container, error: DroverError.from(thrown).message }, 'take memory that was sent ahead')
      return false
    },
  )
}

async function receiveDelta(
  session: MigrationSession,
  connection: StreamConnection,
  { root, figures }: ArrivingTree,
  delta: Message<'delta'>,
): Promise<void> {
  const startedAt = performance.now()
  if (delta.deletions.length > 0) await removePaths(root, delta.deletions)
  if (delta.sockets.length > 0) await makeSockets(root, delta.sockets)
  if (delta.archive) await receiveArchive(connection, startDeltaExtraction(session, root))
  figures.delta_ms = performance.now() - startedAt
}

async function restore(
  parts: AgentParts,
  session: MigrationSession,
  assignment: Moving,
  directory: string,
): Promise<void> {
  const { container, epoch } = assignment
  const startedAt = performance.now()
  const answer = await parts.engine.call(
    'restore',
    { container, epoch, directory },
    { deadlineMs: engineDeadlines.restore },
  )
  // Removed meanwhile: what the engine says now is old.
  session.signal.throwIfAborted()
  parts.mirror.answer(answer.container)
  Object.assign(session.figures, answer.figures, { restore_call_ms: performance.now() - startedAt })
}

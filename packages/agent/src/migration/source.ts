// The source's side of a migration: check, send the disk while the container runs, then freeze, dump and send the rest. From the freeze to
// `switched` every millisecond is blackout: connection and tar are there before it, and the disk is scanned while memory is sent.
// A failure only fails the session; the controller then aborts, and reconciling thaws.

import { dirname, join } from 'node:path'
import type { EngineContainer } from '@drover/engine'
import { type Assignment, DroverError, type Peer } from '@drover/protocol'
import { engineDeadlines, stopSlackMs } from '../engine-port.ts'
import { leastKeptBytes } from '../leftovers/leftovers.ts'
import { type AgentParts, callAndMirror } from '../parts.ts'
import { sendSnapshots } from '../snapshots/travel.ts'
import { stopParams } from '../steps/stop-params.ts'
import type { StreamMessage, TreeSum, VolumeSum } from '../streams/messages.ts'
import { openStream, type StreamPurpose, sayHello } from '../streams/open-stream.ts'
import type { StreamConnection } from '../streams/stream-connection.ts'
import { movePlan, requireBudget, requireStrategy } from './blackout-budget.ts'
import { checkpointDirectory, removeTree } from './checkpoint-directory.ts'
import { cleanPages } from './clean-pages.ts'
import { socketsOf } from './disk-delta.ts'
import { restlessDirectories, scanManifest, sizeOf } from './disk-manifest.ts'
import { DiskProgress } from './disk-progress.ts'
import { FilesAhead } from './files-ahead.ts'
import { MemoryAhead, parentDirectory } from './memory-ahead.ts'
import { sendMemoryFiles } from './memory-files.ts'
import { mostPackedBytes, mostPackedEntries, packLayer } from './packed-layer.ts'
import { PagesAhead } from './pages-ahead.ts'
import { checkpointPatiently, requireMovable, residentBytes } from './preflight.ts'
import { type Delta, type SentTree, scanDelta, sendArchive, sendDelta } from './send-delta.ts'
import { sendUnlike } from './send-unlike.ts'
import { type SentVolume, scanVolumes, sendVolumeDeltas, sendVolumes } from './send-volumes.ts'
import type { MigrationSession } from './session.ts'
import { keepDeltaArchiveReady, startPrecopyArchive } from './tar-process.ts'
import { throttleSource } from './throttle.ts'
import { TreeCheck } from './tree-check.ts'
import { WhileOpen } from './while-open.ts'

type Moving = Assignment & { migration: NonNullable<Assignment['migration']> }

interface Sent {
  frozenAtNs: number
  /** What the destination's layer must be; null: it can't tell. */
  tree: TreeSum | null
  volumes: VolumeSum[]
}

type Sums = Pick<Sent, 'tree' | 'volumes'>

interface Deltas {
  disk: Delta
  volumes: Delta[]
}

/** What the pre-copy leaves for the switch. */
interface Precopied extends SentTree {
  volumes: SentVolume[]
  /** Whether the destination takes pages while they are written, and restores while the dump ends. */
  overlaps: boolean
  memoryAhead: MemoryAhead | null
  /** Where the checkpoint will be. */
  checkpoint: string
}

/** The destination may first have to fetch nothing, mount and make cgroups; then the whole disk goes through its tar. */
const acceptDeadlineMs = 10_000
/** A pre-copy that nobody has asked for and that takes longer than this is told of: whoever looks sees it, and it has the time that it may take. */
const unsaidMs = 500
/** A layer that was small so short a time ago is not looked at once more before the freeze: what of it could go in pieces is little. */
const smallForMs = 500
const diskDeadlineMs = 30 * 60_000

const precopied = new WhileOpen<Precopied>()
const connections = new WhileOpen<StreamConnection>()

/** So that the destination, which may be heard first, doesn't only know that the connection broke. */
export function tellDestination(parts: AgentParts, session: MigrationSession, thrown: unknown): void {
  const { code, message } = DroverError.from(thrown)
  connections.get(session)?.refuse(new DroverError(code, `source ${parts.host}: ${message}`))
}

export async function prepareSource(parts: AgentParts, session: MigrationSession, assignment: Moving): Promise<void> {
  const engine = parts.mirror.get(assignment.container)
  if (!engine) throw new DroverError('WRONG_STATE', `move ${assignment.name}: it is not on host ${parts.host}`)
  if (engine.epoch !== assignment.epoch) {
    throw new DroverError(
      'STALE_EPOCH',
      `move ${assignment.name}: host ${parts.host} has epoch ${engine.epoch}, not ${assignment.epoch}`,
    )
  }
  const { mode } = assignment.migration
  if (mode !== 'cold') {
    if (engine.state !== 'running' && !(mode === 'frozen' && engine.state === 'frozen')) {
      throw new DroverError('WRONG_STATE', `move ${assignment.name} ${mode}: it is ${engine.state}, not running`)
    }
    requireStrategy(assignment.name, assignment.migration.terms)
    // Less than an empty dump takes: no byte need be sent to know that.
    if (mode === 'live') requireBudget(session, movePlan(assignment.name, assignment.migration.terms, 0))
    requireCriu(parts, assignment)
    await requireMovable(parts, session, assignment)
  }
  const { phase, precopiesAtOnce = false } = assignment.migration
  if (precopiesAtOnce && phase === 'preparing') session.precopiesAtOnce = true
  else session.advance('prepared')
}

export function requireCriu(parts: AgentParts, assignment: Moving): void {
  const criu = parts.mirror.hello?.criu
  if (criu?.usable) return
  throw new DroverError(
    'NOT_MIGRATABLE',
    `move ${assignment.name} live: host ${parts.host} has no usable CRIU (${criu?.reason ?? 'its engine is down'})`,
  )
}

export async function precopy(parts: AgentParts, session: MigrationSession, assignment: Moving): Promise<void> {
  const { container, epoch, migration } = assignment
  // Without running meanwhile: nothing of it can change from here on, so nothing goes ahead.
  if (migration.mode === 'frozen' && parts.mirror.get(container)?.state === 'running')
    await callAndMirror(parts, 'freeze', { container, epoch }, engineDeadlines.quick)
  const engine = parts.mirror.get(container)
  if (!engine) throw new DroverError('WRONG_STATE', `move ${assignment.name}: it is gone from host ${parts.host}`)
  const startedAt = performance.now()
  const reached = await reachDestination(parts, session, assignment)
  if (!reached) return
  const { connection, accepted } = reached
  connection.onClose((error) => session.fail(error))
  throttleSource(parts, connection, migration.terms)

  const manifest = await scanManifest(engine.upper, session.signal)
  const { startedAtMs, starts, memoryRoomBytes = 0 } = engine
  const arrival = { frozen: standsStillThere(assignment, engine), memoryRoomBytes }
  const sizeBytes = sizeOf(manifest)
  const compares = accepted.verifies === true && accepted.leftover === true && sizeBytes >= leastKeptBytes
  const small = sizeBytes < mostPackedBytes && manifest.size <= mostPackedEntries
  const mayPack = small && !compares && accepted.verifies === true && accepted.unpacks === true
  const packed = mayPack ? await packLayer(parts, session, { container, epoch }) : null
  // To pack a layer cleans its pages as well.
  if (!packed) await cleanPages(engine.upper, manifest, session.signal)
  const announced = { kind: 'disk', sockets: packed ? [] : socketsOf(manifest), startedAtMs, starts, ...arrival }
  await connection.sendMessage({ ...announced, ...(compares ? { compares } : {}), ...(packed ? { packed: true } : {}) })
  const sending = { parts, session, connection, of: { container, epoch }, upper: engine.upper, manifest }
  const compared = compares ? await sendUnlike(sending) : null
  session.figures.disk_bytes = sizeBytes
  const progress = new DiskProgress(session, connection, sizeBytes - (compared?.reusedBytes ?? 0))
  if (packed) await sendPacked(connection, packed.data, progress)
  else
    await sendArchive(connection, startPrecopyArchive(session, engine.upper, compared?.excludeFrom), () =>
      progress.sent(),
    )
  await sendSnapshots(session, connection, engine.upper)
  const volumes = await sendVolumes(parts, session, connection, assignment, accepted.volumes === true)
  await connection.sendMessage({ kind: 'disk-sent' })
  await parts.faults.at('source.disk-sent')
  // While the destination unpacks.
  const restless = restlessDirectories(engine.upper, manifest)
  const begin = async () => (accepted.verifies === true ? TreeCheck.begin(parts, session, assignment) : null)
  const tree = packed?.tree ?? compared?.tree ?? (await begin())
  await expect(connection, 'disk-received', diskDeadlineMs)

  const patches = accepted.patches === true && parts.mirror.hello?.patchesFiles === true
  const filesAhead =
    tree && patches ? new FilesAhead({ session, connection, upper: engine.upper, manifest, tree }) : null
  session.figures.precopy_bytes = connection.bytesSent
  session.figures.precopy_ms = performance.now() - startedAt
  session.signal.throwIfAborted()
  keepDeltaArchiveReady()
  const { directory: checkpoint, remove } = checkpointDirectory(parts.checkpointRoot, migration.operation, false)
  session.defer(remove)
  let memoryAhead: MemoryAhead | null = null
  if (migration.mode === 'live') {
    const directory = join(dirname(checkpoint), parentDirectory)
    const plan = movePlan(assignment.name, migration.terms, await residentBytes(parts, container))
    if (plan.strategy === 'stop-and-copy') requireBudget(session, plan)
    else {
      memoryAhead = new MemoryAhead(parts, session, connection, { container, epoch: assignment.epoch, directory })
      await memoryAhead.send(plan)
    }
  }
  // Meanwhile it went on writing: the rest is to be small when the freeze is decided.
  const isSmallStill = packed !== null && performance.now() - startedAt < smallForMs
  if (migration.mode !== 'frozen' && !isSmallStill && (await filesAhead?.send())) await memoryAhead?.again()
  const { figures } = session
  const disk = { connection, root: engine.upper, manifest, filesAhead, restless, tree, figures }
  precopied.set(session, { ...disk, volumes, overlaps: accepted.overlaps === true, memoryAhead, checkpoint })
  session.advance('precopied')
}

/** Null: it isn't ready yet, and the controller is told that this side is. */
async function reachDestination(
  parts: AgentParts,
  session: MigrationSession,
  { container, migration }: Moving,
): Promise<AcceptedStream | null> {
  const { precopiesAtOnce } = session
  session.precopiesAtOnce = false
  const purpose = { kind: 'migration', operation: migration.operation, container } as const
  try {
    const { connection, accepted } = await acceptedStream(parts, session, migration.destination, purpose)
    if (precopiesAtOnce) {
      const told = setTimeout(() => session.step === 'preparing' && session.advance('prepared'), unsaidMs)
      session.defer(() => clearTimeout(told))
    }
    return { connection, accepted }
  } catch (thrown) {
    session.signal.throwIfAborted()
    if (!precopiesAtOnce) throw thrown
    connections.get(session)?.destroy()
    session.advance('prepared')
    return null
  }
}

interface AcceptedStream {
  connection: StreamConnection
  accepted: Extract<StreamMessage, { kind: 'accepted' }>
}

/** On a connection that is left from another move, if there is one and it is still good for something, or on a new one. */
async function acceptedStream(
  parts: AgentParts,
  session: MigrationSession,
  peer: Peer,
  purpose: StreamPurpose,
): Promise<AcceptedStream> {
  const greeted = async (connection: StreamConnection) => {
    connections.set(session, connection)
    session.defer(() => {
      if (session.step === 'switched' || session.step === 'cleaned') parts.keptStreams.endUnlessFreed(connection)
      else connection.destroy()
    })
    return { connection, accepted: await expect(connection, 'accepted', acceptDeadlineMs) }
  }
  const kept = parts.keptStreams.take(peer)
  try {
    if (kept) {
      await sayHello(kept, parts.access, purpose)
      return await greeted(kept)
    }
  } catch (thrown) {
    kept?.destroy()
    session.signal.throwIfAborted()
    if (DroverError.from(thrown).code !== 'TRANSFER_FAILED') throw thrown
  }
  return await greeted(await openStream(peer, parts.access, purpose))
}

export async function switchOver(parts: AgentParts, session: MigrationSession, assignment: Moving): Promise<void> {
  session.signal.throwIfAborted()
  const ready = precopied.get(session)
  if (!ready) throw new DroverError('INTERNAL', `move ${assignment.name}: switching before the pre-copy`)
  const { connection } = ready
  session.switches = true
  connection.throttleSending([])
  await parts.faults.at('source.freezing')
  session.signal.throwIfAborted()
  const sentBefore = connection.bytesSent
  const { frozenAtNs, tree, volumes } =
    assignment.migration.mode !== 'cold'
      ? await checkpointAndSend(parts, session, assignment, ready)
      : await stopAndSend(parts, session, assignment, ready)
  await parts.faults.at('source.switched')
  await connection.sendMessage({ kind: 'switched', frozenAtNs, ...said({ tree, volumes }) })
  session.figures.switch_bytes = connection.bytesSent - sentBefore
  session.figures.sent_bytes = connection.bytesSent
  session.advance('switched')
  void parts.keptStreams.keepWhenFree(assignment.migration.destination, connection)
}

/** It arrives as it is to be; at its limit of memory it would only be there again at once. */
const standsStillThere = ({ desired, migration }: Moving, engine: EngineContainer): boolean =>
  migration.mode === 'frozen' && (desired === 'frozen' || engine.memory?.frozenAtLimit === true)

async function checkpointAndSend(
  parts: AgentParts,
  session: MigrationSession,
  assignment: Moving,
  ready: Precopied,
): Promise<Sent> {
  const { container, epoch } = assignment
  const { checkpoint: directory } = ready
  const sendLast = await ready.memoryAhead?.takeLast()
  const calledAt = performance.now()
  // The engine makes the directory, perhaps when a session that was closed meanwhile has removed it.
  const remove = () => removeTree(dirname(directory))
  const ahead = { begun: false }
  const pages = ready.overlaps ? new PagesAhead(ready.connection, directory) : null
  session.defer(() => pages?.close())
  const asked = checkpointPatiently(parts, session, { container, epoch, directory }, () => !ahead.begun)
  const lastSent = sendLast?.() ?? Promise.resolve()
  lastSent.catch(() => {})
  const sentAhead = sendWhileDumping(parts, session, container, ready, { pages, ahead, lastSent })
  // It counts only after a dump that has succeeded.
  sentAhead.catch(() => {})
  const answer = await asked.finally(() => session.defer(remove))
  const dumpedAt = performance.now()
  parts.mirror.answer(answer.container)
  await parts.faults.at('source.frozen')
  session.signal.throwIfAborted()
  Object.assign(session.figures, answer.figures, { checkpoint_ms: dumpedAt - calledAt })
  const sent = await sentAhead
  // The scan takes the CPU while the kernel sends.
  const [memoryBytes, deltas] = await Promise.all([
    sent?.memoryBytes ?? sendMemoryFiles(ready.connection, directory, pages),
    sent?.sums ? null : scanDeltas(session, ready),
  ])
  session.figures.memory_bytes = memoryBytes
  const sums = deltas ? await sendDeltas(session, ready, deltas) : (sent?.sums ?? { tree: null, volumes: [] })
  session.figures.transfer_ms = performance.now() - dumpedAt
  return { frozenAtNs: answer.figures.frozenAtNs ?? 0, ...sums }
}

/**
 * Pages while CRIU writes them; all else while CRIU, which has written all images, lets go of the processes, and the engine records that they
 * stand still. Until `switched` nothing of this means anything, also what the destination restores of it. Null: there was no such time. Sums
 * null: CRIU has made link-remap files, which come and go until the dump is over.
 */
async function sendWhileDumping(
  parts: AgentParts,
  session: MigrationSession,
  container: string,
  ready: Precopied,
  { pages, ahead, lastSent }: { pages: PagesAhead | null; ahead: { begun: boolean }; lastSent: Promise<void> },
): Promise<{ memoryBytes: number; sums: Sums | null } | null> {
  const called = parts.engine.call('checkpointImages', { container }, { deadlineMs: engineDeadlines.checkpoint })
  // An engine that doesn't know this, or is gone, which the checkpoint's own call tells.
  const asked = called.catch(() => ({ complete: false, diskStands: false }))
  // One after the other: each has the connection for itself.
  await lastSent
  pages?.follow()
  const { complete, diskStands } = await asked
  await pages?.stop()
  if (!complete || session.closed) return null
  ahead.begun = true
  const sending = sendMemoryFiles(ready.connection, ready.checkpoint, pages)
  const [memoryBytes, deltas] = await Promise.all([sending, diskStands ? scanDeltas(session, ready) : null])
  if (!deltas) return { memoryBytes, sums: null }
  const sums = await sendDeltas(session, ready, deltas)
  if (ready.overlaps) await ready.connection.sendMessage({ kind: 'complete', ...said(sums) })
  return { memoryBytes, sums }
}

async function stopAndSend(
  parts: AgentParts,
  session: MigrationSession,
  assignment: Moving,
  ready: Precopied,
): Promise<Sent> {
  const params = stopParams(assignment)
  const state = parts.mirror.get(params.container)?.state
  if (state === 'running' || state === 'frozen') {
    const answer = await parts.engine.call('stop', params, { deadlineMs: params.timeoutMs + stopSlackMs })
    parts.mirror.answer(answer)
  }
  session.signal.throwIfAborted()
  return { frozenAtNs: 0, ...(await sendDeltas(session, ready, await scanDeltas(session, ready))) }
}

/** Nothing of what there is none of. */
const said = ({ tree, volumes }: Sums) => ({
  ...(tree === null ? {} : { tree }),
  ...(volumes.length === 0 ? {} : { volumes }),
})

async function scanDeltas(session: MigrationSession, ready: Precopied): Promise<Deltas> {
  const [disk, volumes] = await Promise.all([scanDelta(session, ready), scanVolumes(session, ready.volumes)])
  return { disk, volumes }
}

async function sendDeltas(session: MigrationSession, ready: Precopied, { disk, volumes }: Deltas): Promise<Sums> {
  const tree = await sendDelta(session, ready, disk)
  return { tree, volumes: await sendVolumeDeltas(session, ready.volumes, volumes) }
}

async function sendPacked(connection: StreamConnection, data: Buffer, progress: DiskProgress): Promise<void> {
  await connection.sendData(data)
  progress.sent()
  await connection.sendEnd()
}

async function expect<K extends 'accepted' | 'disk-received'>(
  connection: StreamConnection,
  kind: K,
  deadlineMs: number,
): Promise<Extract<StreamMessage, { kind: K }>> {
  const message = await connection.receiveMessage(deadlineMs)
  if (message.kind !== kind)
    throw new DroverError('BAD_REQUEST', `stream with ${connection.peer}: ${message.kind} came where ${kind} was due`)
  return message as Extract<StreamMessage, { kind: K }>
}

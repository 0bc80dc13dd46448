// The disk of one container for a new one, which may be on another host: the new one's agent asks the other's for it, puts what is its
// own in place of what was the other's, and has the engine shift the owners. The container that is copied is locked for so long.

import { createReadStream, mkdirSync, rmSync } from 'node:fs'
import { lstat, mkdir, readFile, writeFile } from 'node:fs/promises'
import { type Assignment, type CopyOrigin, DroverError } from '@drover/protocol'
import { makeSockets, removePaths } from '../migration/apply-delta.ts'
import { socketsOf } from '../migration/disk-delta.ts'
import { type Manifest, scanManifest } from '../migration/disk-manifest.ts'
import { startExtraction, startPrecopyArchive } from '../migration/tar-process.ts'
import type { AgentParts } from '../parts.ts'
import { type Hello, maxPayloadBytes, StreamFrameType } from '../streams/messages.ts'
import { openStream } from '../streams/open-stream.ts'
import type { StreamConnection } from '../streams/stream-connection.ts'
import { discard, sizeOf } from './copy-tree.ts'
import type { Outcome } from './jobs.ts'
import { incomingDirectory, readFacts, snapshotPlace, snapshotsDirectory } from './layout.ts'
import { exchangeDisk } from './put-back.ts'
import { Scope } from './scope.ts'
import { copyStandingStill, temporaryCopy } from './take.ts'

/** The other side may first have to copy a disk of hundreds of gigabytes for itself. */
const readyDeadlineMs = 3 * 60 * 60_000

/** For a container that has been created and has never run: gives it its disk. */
export async function fetchDisk(
  parts: AgentParts,
  assignment: Assignment,
  origin: CopyOrigin,
  scope: Scope,
): Promise<Outcome> {
  const upper = parts.mirror.get(assignment.container)?.upper
  if (upper === undefined)
    throw new DroverError('WRONG_STATE', `copy to ${assignment.name}: it is not on ${parts.host}`)
  const startedAt = performance.now()
  const incoming = incomingDirectory(upper)
  discard(incoming)()
  await mkdir(incoming, { mode: 0o700 })
  scope.defer(discard(incoming))
  const { operation, container, snapshot, upload } = origin
  const wanted = { kind: 'disk', operation, container, snapshot, ...(upload === undefined ? {} : { upload }) } as const
  const connection = await openStream(origin.source, parts.access, wanted)
  scope.defer(() => connection.destroy())
  const ready = await connection.receiveMessage(readyDeadlineMs)
  if (ready.kind !== 'tree') throw new DroverError('BAD_REQUEST', `copy: ${ready.kind} came where tree was due`)
  await makeSockets(incoming, ready.sockets)
  const extraction = startExtraction(scope, incoming)
  for (;;) {
    const frame = await connection.receive()
    if (frame.type === StreamFrameType.end) break
    await extraction.write(frame.payload)
  }
  await extraction.done()
  connection.finish()
  await forgetIdentity(incoming, origin.name, assignment.name)
  const manifest = await scanManifest(incoming, scope.signal)
  if (upload !== undefined) await removePaths(incoming, devicesIn(manifest))
  const sizeBytes = sizeOf(manifest)
  await exchangeDisk(parts, assignment, incoming, origin.uidBase)
  return { sizeBytes, figures: { copy_ms: performance.now() - startedAt } }
}

/** The other side of it. */
export async function sendDisk(
  parts: AgentParts,
  connection: StreamConnection,
  hello: Extract<Hello, { kind: 'disk' }>,
): Promise<void> {
  const { container, snapshot, operation, upload } = hello
  if (upload !== undefined) return sendUploaded(parts, connection, upload)
  const assignment = parts.store.get(container)
  const upper = parts.mirror.get(container)?.upper
  if (assignment?.role !== 'owner' || upper === undefined) {
    throw new DroverError(
      'WRONG_STATE',
      `send the disk of ${container.slice(0, 32)}: host ${parts.host} doesn’t own it`,
    )
  }
  const scope = new Scope()
  connection.onClose(() => void scope.close())
  try {
    const tree = await parts.snapshots.inTurn(() =>
      treeToSend(parts, assignment, scope, { upper, snapshot, operation }),
    )
    const sockets = socketsOf(await scanManifest(tree, scope.signal))
    await connection.sendMessage({ kind: 'tree', sockets })
    const archive = startPrecopyArchive(scope, tree)
    for await (const chunk of archive.output()) await connection.sendData(chunk)
    await archive.done()
    await connection.sendEnd()
    connection.finish()
  } finally {
    await scope.close()
  }
}

/** What was sent to this host: a tar already. */
async function sendUploaded(
  { uploads }: AgentParts,
  connection: StreamConnection,
  { id, sha256 }: { id: string; sha256: string },
): Promise<void> {
  const path = await uploads.checked(id, sha256)
  await connection.sendMessage({ kind: 'tree', sockets: [] })
  for await (const chunk of createReadStream(path, { highWaterMark: maxPayloadBytes }))
    await connection.sendData(chunk as Buffer)
  await connection.sendEnd()
  connection.finish()
}

/** Of an archive that came from anywhere: overlayfs has whiteouts as devices of number 0, and others the engine makes at a start. */
function devicesIn(manifest: Manifest): string[] {
  return [...manifest].flatMap(([path, { type, rdev }]) => (type === 'device' && rdev !== 0n ? [path] : []))
}

export async function treeToSend(
  parts: AgentParts,
  assignment: Assignment,
  scope: Scope,
  { upper, snapshot, operation }: { upper: string; snapshot: string | null; operation: string },
): Promise<string> {
  if (snapshot !== null) {
    if (readFacts(upper, snapshot)) return snapshotPlace(upper, snapshot).disk
    throw new DroverError('SNAPSHOT_NOT_FOUND', `send snapshot ${snapshot} of ${assignment.name}: it is not here`)
  }
  mkdirSync(snapshotsDirectory(upper), { recursive: true, mode: 0o700 })
  const to = temporaryCopy(upper, operation)
  scope.defer(() => rmSync(to, { recursive: true, force: true }))
  await copyStandingStill(parts, assignment, scope, { to, memory: null })
  return to
}

/**
 * What the engine writes at a start when the layer lacks it, it writes anew. `/etc/hosts` may hold the owner's own lines: only the
 * name in ours is changed. SSH host keys stay, as a copied disk has them: nothing in the image would make others.
 */
async function forgetIdentity(disk: string, before: string, now: string): Promise<void> {
  await removePaths(disk, ['etc/hostname', 'etc/machine-id'])
  const folder = await lstat(`${disk}/etc`).catch(() => null)
  const hosts = `${disk}/etc/hosts`
  const file = await lstat(hosts).catch(() => null)
  if (!folder?.isDirectory() || !file?.isFile()) return
  const text = await readFile(hosts, 'utf8')
  const line = `127.0.1.1 ${before}\n`
  if (text.includes(line)) await writeFile(hosts, text.replace(line, `127.0.1.1 ${now}\n`))
}

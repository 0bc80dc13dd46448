// Snapshots on their way to another host with their container: one archive of all of them behind that of the disk, so that what they
// share stays shared. Everything is there before the container is frozen, and lies where it belongs only when all has arrived.

import { existsSync, mkdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { makeSockets } from '../migration/apply-delta.ts'
import { socketsOf } from '../migration/disk-delta.ts'
import { scanManifest } from '../migration/disk-manifest.ts'
import { startExtraction, startPrecopyArchive, type TarScope } from '../migration/tar-process.ts'
import { type FileNode, StreamFrameType } from '../streams/messages.ts'
import { decodeStreamMessage, type StreamConnection } from '../streams/stream-connection.ts'
import { snapshotNames, snapshotsDirectory } from './layout.ts'

type Ended = TarScope & { signal: AbortSignal }

/** Says nothing when there are none. */
export async function sendSnapshots(scope: Ended, connection: StreamConnection, upper: string): Promise<void> {
  if (snapshotNames(upper).length === 0) return
  const directory = snapshotsDirectory(upper)
  await connection.sendMessage({ kind: 'snapshots', sockets: socketsOf(await scanManifest(directory, scope.signal)) })
  const archive = startPrecopyArchive(scope, directory)
  for await (const chunk of archive.output()) await connection.sendData(chunk)
  await archive.done()
  await connection.sendEnd()
}

export async function receiveSnapshots(
  scope: Ended,
  connection: StreamConnection,
  upper: string,
  sockets: FileNode[],
): Promise<void> {
  const directory = snapshotsDirectory(upper)
  if (existsSync(directory)) await rm(directory, { recursive: true, force: true })
  mkdirSync(directory, { mode: 0o700 })
  await makeSockets(directory, sockets)
  const extraction = startExtraction(scope, directory)
  for (;;) {
    const frame = await connection.receive()
    if (frame.type === StreamFrameType.end) break
    if (frame.type !== StreamFrameType.data) decodeStreamMessage(frame)
    await extraction.write(frame.payload)
  }
  await extraction.done()
}

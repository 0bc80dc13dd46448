// The destination's side of a move of a container that was here before: what it left takes the place of the new, empty layer, this host's
// engine says what is in it, and the source sends what differs. Whatever is wrong with it shows there, or by the hash of the whole tree
// before anything is restored; and since it is no leftover any more, the next attempt begins with nothing.

import { mkdir } from 'node:fs/promises'
import { DroverError } from '@drover/protocol'
import type { AgentParts } from '../parts.ts'
import { StreamFrameType, type StreamMessage } from '../streams/messages.ts'
import { decodeStreamMessage, type StreamConnection } from '../streams/stream-connection.ts'
import { removePaths } from './apply-delta.ts'
import { indexPath, readIndexBytes } from './index-file.ts'
import { applyPatch, writePatch, writePatchAhead } from './patch-file.ts'
import type { MigrationSession } from './session.ts'
import { type FileTime, TreeCheck } from './tree-check.ts'

interface Receiving {
  parts: AgentParts
  session: MigrationSession
  connection: StreamConnection
  of: { container: string; epoch: number }
  upper: string
}

/** The source hashes its layer before it compares, and reads files that it sends pieces of. */
const comparisonDeadlineMs = 30 * 60_000

/** Up to the archive. */
export async function receiveUnlike(receiving: Receiving): Promise<void> {
  const { session, connection, upper } = receiving
  await sendIndex(connection, await takeAndIndex(receiving))
  for (;;) {
    const message = decodeStreamMessage(await connection.receive(comparisonDeadlineMs))
    session.signal.throwIfAborted()
    if (message.kind === 'archive') return
    if (message.kind === 'remove') await removePaths(upper, message.paths)
    else if (message.kind === 'start-over') await startOver(receiving)
    else if (message.kind === 'patch') await receivePatch(receiving, message)
    else throw unexpected(message)
  }
}

/** What can't be told is not there. */
async function takeAndIndex({ parts, session, of, upper }: Receiving): Promise<Buffer> {
  if (!parts.leftovers.take(of.container, upper)) return Buffer.alloc(0)
  const path = indexPath(parts, session)
  await TreeCheck.begin(parts, session, of, { index: path })
  return readIndexBytes(path)
}

export async function sendIndex(connection: StreamConnection, index: Buffer): Promise<void> {
  await connection.sendMessage({ kind: 'index' })
  await connection.sendData(index)
  await connection.sendEnd()
}

async function startOver({ parts, upper }: Receiving): Promise<void> {
  parts.leftovers.discard(upper)
  // Owner and mode come with the archive.
  await mkdir(upper, { recursive: true, mode: 0o755 })
}

async function receivePatch(
  { connection, upper }: Receiving,
  patch: Extract<StreamMessage, { kind: 'patch' }>,
): Promise<void> {
  await applyPatch(upper, { ...patch, mtimeNs: BigInt(patch.mtimeNs) }, bytesFrom(connection))
}

/** After the archive. The time that it is to have, if that is known. */
export async function receiveLaterPatch(
  connection: StreamConnection,
  upper: string,
  patch: Extract<StreamMessage, { kind: 'patch' }>,
): Promise<FileTime | null> {
  const { path, ahead, create, mtimeNs } = patch
  if (ahead === true) {
    await writePatchAhead(upper, patch, create, bytesFrom(connection))
    return null
  }
  await writePatch(upper, patch, bytesFrom(connection))
  const billion = 1_000_000_000n
  return { path, seconds: Number(BigInt(mtimeNs) / billion), nanoseconds: Number(BigInt(mtimeNs) % billion) }
}

const bytesFrom = (connection: StreamConnection) => async (): Promise<Buffer | null> => {
  const frame = await connection.receive()
  if (frame.type === StreamFrameType.end) return null
  if (frame.type !== StreamFrameType.data) throw unexpected(decodeStreamMessage(frame))
  return frame.payload
}

function unexpected(message: StreamMessage): DroverError {
  return new DroverError('BAD_REQUEST', `migration stream: ${message.kind} came out of turn`)
}

// The source's side of a move to a host that kept the layer from an earlier visit: both engines say what they have, and only what differs
// goes: first what is to be removed there, then pieces of larger files, then (source.ts) an archive without what is the same.
// The container may run: what changes meanwhile is in the delta, as always.

import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DroverError } from '@drover/protocol'
import type { AgentParts } from '../parts.ts'
import { StreamFrameType } from '../streams/messages.ts'
import { decodeStreamMessage, type StreamConnection } from '../streams/stream-connection.ts'
import type { Manifest } from './disk-manifest.ts'
import { indexPath, readIndexFile } from './index-file.ts'
import { likenessOf, type Patch } from './likeness.ts'
import { type NewFile, openFileBeneath, readRun } from './patch-file.ts'
import type { MigrationSession } from './session.ts'
import { partsOf } from './text-parts.ts'
import { TreeCheck } from './tree-check.ts'
import { mostIndexBytes, parseTreeIndex, type TreeIndex } from './tree-index.ts'

/** The destination hashes all that it kept. */
const indexDeadlineMs = 30 * 60_000

interface Sending {
  parts: AgentParts
  session: MigrationSession
  connection: StreamConnection
  of: { container: string; epoch: number }
  upper: string
  manifest: Manifest
}

export interface Compared {
  tree: TreeCheck
  /** For the archive: what it leaves out. */
  excludeFrom: string
  reusedBytes: number
}

export async function sendUnlike(sending: Sending): Promise<Compared> {
  const { parts, session, connection, of, manifest } = sending
  const path = indexPath(parts, session)
  const [tree, there] = await Promise.all([
    TreeCheck.begin(parts, session, of, { index: path }),
    receiveIndex(connection),
  ])
  const likeness = likenessOf(manifest, readIndexFile(path), there)
  session.signal.throwIfAborted()
  if (likeness.startOver) await connection.sendMessage({ kind: 'start-over' })
  if (likeness.remove.length > 0)
    for (const { part } of partsOf(likeness.remove)) await connection.sendMessage({ kind: 'remove', paths: part })
  for (const patch of likeness.patches) await sendPatch(sending, patch)
  const leftOut = [...likeness.same, ...likeness.patches.map(({ path }) => path)]
  const excludeFrom = join(parts.checkpointRoot, `${session.operation}.same`)
  session.defer(() => rmSync(excludeFrom, { force: true }))
  writeFileSync(excludeFrom, Buffer.from(leftOut.map((each) => `./${each}\n`).join(''), 'latin1'), { mode: 0o600 })
  await connection.sendMessage({ kind: 'archive' })
  session.figures.reused_bytes = likeness.reusedBytes
  return { tree, excludeFrom, reusedBytes: likeness.reusedBytes }
}

/** Null: it has none that we can read. */
export async function receiveIndex(connection: StreamConnection): Promise<TreeIndex | null> {
  const message = await connection.receiveMessage(indexDeadlineMs)
  if (message.kind !== 'index') throw new DroverError('BAD_REQUEST', `stream: ${message.kind} came where index was due`)
  const chunks: Buffer[] = []
  for (let bytes = 0; ; ) {
    const frame = await connection.receive()
    if (frame.type === StreamFrameType.end) return parseTreeIndex(Buffer.concat(chunks))
    if (frame.type !== StreamFrameType.data) decodeStreamMessage(frame)
    bytes += frame.payload.length
    if (bytes > mostIndexBytes)
      throw new DroverError('TOO_LARGE', `stream: an index of over ${mostIndexBytes} bytes came`)
    chunks.push(Buffer.from(frame.payload))
  }
}

/** One that is gone has changed since it was looked at: the delta brings what became of it. */
export async function sendPatch(
  { session, connection, upper }: Pick<Sending, 'session' | 'connection' | 'upper'>,
  patch: Patch,
  terms: { ahead?: boolean; create?: NewFile } = {},
): Promise<void> {
  const file = await openFileBeneath(upper, patch.path)
  if (!file) return
  try {
    const { path, sizeBytes, mtimeNs, runs } = patch
    await connection.sendMessage({ kind: 'patch', path, sizeBytes, mtimeNs: String(mtimeNs), runs, ...terms })
    for (const [offset, length] of runs) {
      session.signal.throwIfAborted()
      for await (const data of readRun(file, offset, length)) await connection.sendData(data)
    }
    await connection.sendEnd()
  } finally {
    await file.close()
  }
}

// A small layer goes as one piece, made by the source's engine while it hashes the tree and taken apart by the destination's before it does
// (native/engine/src/small_layer.h): for a dozen small files two processes of tar, started from agents, are dear. Here is its way between
// an engine's file and the stream.

import { existsSync, readFileSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DroverError } from '@drover/protocol'
import type { AgentParts } from '../parts.ts'
import { StreamFrameType } from '../streams/messages.ts'
import { decodeStreamMessage, type StreamConnection } from '../streams/stream-connection.ts'
import type { MigrationSession } from './session.ts'
import { TreeCheck } from './tree-check.ts'

/** Files of more bytes, or more entries, are left to tar, which needs no memory for them. The engine draws its own lines further out. */
export const mostPackedBytes = 256 << 10
export const mostPackedEntries = 500
/** What an engine packs at most (mostFileBytes there). */
const mostLayerBytes = 8 << 20

export interface PackedLayer {
  data: Buffer
  tree: TreeCheck
}

/** Null: it is too much, as the engine sees it, or an engine of an earlier version; the tree, if it was looked at, has to be so again. */
export async function packLayer(
  parts: AgentParts,
  session: MigrationSession,
  of: { container: string; epoch: number },
): Promise<PackedLayer | null> {
  if (parts.mirror.hello?.packsLayers !== true) return null
  const path = layerPath(parts, session)
  try {
    const tree = await TreeCheck.begin(parts, session, of, { pack: path })
    if (!tree.packed || statSync(path).size > mostLayerBytes) return null
    return { data: readFileSync(path), tree }
  } finally {
    remove(path)
  }
}

/** All of it, up to its end. */
export async function receivePackedLayer(connection: StreamConnection): Promise<Buffer> {
  const chunks: Buffer[] = []
  for (let bytes = 0; ; ) {
    const frame = await connection.receive()
    if (frame.type === StreamFrameType.end) return Buffer.concat(chunks)
    if (frame.type !== StreamFrameType.data)
      throw new DroverError(
        'BAD_REQUEST',
        `migration stream: ${decodeStreamMessage(frame).kind} came within a packed layer`,
      )
    bytes += frame.payload.length
    if (bytes > mostLayerBytes)
      throw new DroverError('TOO_LARGE', `migration stream: a packed layer of over ${mostLayerBytes} bytes came`)
    chunks.push(Buffer.from(frame.payload))
  }
}

/** Makes the layer of it, and looks at what it has become. */
export async function unpackLayer(
  parts: AgentParts,
  session: MigrationSession,
  of: { container: string; epoch: number },
  data: Buffer,
): Promise<TreeCheck> {
  const path = layerPath(parts, session)
  try {
    writeFileSync(path, data, { mode: 0o600 })
    return await TreeCheck.begin(parts, session, of, { unpack: path })
  } finally {
    remove(path)
  }
}

function layerPath({ checkpointRoot }: AgentParts, session: MigrationSession): string {
  const path = join(checkpointRoot, `${session.operation}.layer`)
  session.defer(() => remove(path))
  return path
}

/** Mostly it is gone, and rmSync makes an error of that, which it then drops. */
function remove(path: string): void {
  if (existsSync(path)) unlinkSync(path)
}

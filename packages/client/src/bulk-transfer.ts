// Bytes in bulk: sent in pieces, each repeated until it has arrived, and read with as many connections as it takes. What a transfer
// brought is known by its SHA-256, which the other side checks, or the caller.

import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Upload } from '@drover/protocol'
import { bulkPieceBytes, DroverError, paths, sizeHeader } from '@drover/protocol/plain'
import type { Transport } from './transport.ts'

/** A piece goes to a host's disk by way of a controller. */
const pieceDeadlineMs = 120_000
const idleTimeoutMs = 60_000
/** Connections that break one after the other, without a byte between them. */
const maxBreaks = 10

export interface Sent {
  upload: string
  host: string
  sha256: string
  sizeBytes: number
}

export async function sendBulk(
  transport: Transport,
  content: AsyncIterable<Uint8Array>,
  {
    host,
    signal = null,
    onBytes,
  }: { host?: string; signal?: AbortSignal | null; onBytes?: (sent: number) => void } = {},
): Promise<Sent> {
  const body = host === undefined ? {} : { host }
  const place = (await transport.json('POST', paths.uploads, { body, signal })) as Upload
  const hash = createHash('sha256')
  let sizeBytes = 0
  for await (const piece of pieces(content)) {
    const query = `host=${encodeURIComponent(place.host)}&offset=${sizeBytes}`
    await transport.json('PUT', `${paths.upload(place.upload)}?${query}`, {
      bytes: piece,
      deadlineMs: pieceDeadlineMs,
      signal,
    })
    hash.update(piece)
    sizeBytes += piece.length
    onBytes?.(sizeBytes)
  }
  if (sizeBytes === 0) throw new DroverError('BAD_REQUEST', 'send: there is nothing in it')
  return { upload: place.upload, host: place.host, sha256: hash.digest('hex'), sizeBytes }
}

/** The whole, however often the connection breaks; `onSize` is told once how large that is. */
export async function* readBulk(
  transport: Transport,
  path: string,
  {
    signal = null,
    onSize,
    query = {},
  }: { signal?: AbortSignal | null; onSize?: (sizeBytes: number) => void; query?: Record<string, string> } = {},
): AsyncGenerator<Buffer> {
  let offset = 0
  let sizeBytes: number | null = null
  for (let breaks = 0; sizeBytes === null || offset < sizeBytes; ) {
    const response: IncomingMessage = await transport.stream(
      `${path}?${new URLSearchParams({ ...query, offset: String(offset) })}`,
      { idleTimeoutMs, signal },
    )
    if (sizeBytes === null) {
      sizeBytes = Number(response.headers[sizeHeader])
      onSize?.(sizeBytes)
    }
    const before = offset
    try {
      for await (const chunk of response) {
        offset += (chunk as Buffer).length
        yield chunk as Buffer
      }
    } catch (error) {
      if (signal?.aborted) throw signal.reason
      breaks = offset > before ? 1 : breaks + 1
      if (breaks >= maxBreaks) throw error
    }
  }
}

/** Of one size but for the last. */
async function* pieces(content: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let held: Uint8Array[] = []
  let length = 0
  for await (const chunk of content) {
    held.push(chunk)
    length += chunk.length
    while (length >= bulkPieceBytes) {
      const all = Buffer.concat(held)
      yield all.subarray(0, bulkPieceBytes)
      held = [all.subarray(bulkPieceBytes)]
      length -= bulkPieceBytes
    }
  }
  if (length > 0) yield Buffer.concat(held)
}

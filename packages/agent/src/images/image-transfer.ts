// Images between hosts: the side that has one streams its layer, the side that lacks it checks the SHA-256 of what came against the
// digest before it unpacks anything. Many containers that wait for one image share one fetch; sources are tried in turn.

import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { DroverError, type Peer } from '@drover/protocol'
import { maxPayloadBytes, StreamFrameType } from '../streams/messages.ts'
import { openStream } from '../streams/open-stream.ts'
import type { StreamConnection } from '../streams/stream-connection.ts'
import type { Access } from '../tls.ts'
import { checkDigest, type ImageRecord, type ImageStore } from './image-store.ts'
import { unpackLayer } from './layer.ts'

export async function sendImage(connection: StreamConnection, images: ImageStore, digest: string): Promise<void> {
  const { name, sizeBytes, init } = images.get(digest)
  await connection.sendMessage({ kind: 'image', name, sizeBytes, init })
  const file = await open(images.layer(digest), 'r')
  try {
    for (;;) {
      // A new buffer each time: the socket may still hold the last one.
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(maxPayloadBytes), 0, maxPayloadBytes, null)
      if (bytesRead === 0) break
      await connection.send(StreamFrameType.data, buffer.subarray(0, bytesRead))
    }
  } finally {
    await file.close()
  }
  await connection.sendEnd()
  connection.finish()
}

export class ImageFetcher {
  readonly #images: ImageStore
  readonly #access: Access
  #underway = new Map<string, Promise<void>>()

  constructor(images: ImageStore, access: Access) {
    this.#images = images
    this.#access = access
  }

  /** Makes the image present here, from whichever of `sources` has it. */
  ensure(digest: string, sources: Peer[]): Promise<void> {
    checkDigest(digest)
    if (this.#images.has(digest)) return Promise.resolve()
    const underway = this.#underway.get(digest)
    if (underway) return underway
    const fetch = this.#fetchFromAny(digest, sources).finally(() => this.#underway.delete(digest))
    this.#underway.set(digest, fetch)
    return fetch
  }

  async #fetchFromAny(digest: string, sources: Peer[]): Promise<void> {
    let last: DroverError | null = null
    for (const source of sources) {
      try {
        await this.#fetch(digest, source)
        return
      } catch (thrown) {
        last = DroverError.from(thrown)
      }
    }
    const from = sources.map((source) => source.host).join(', ') || 'nobody'
    throw new DroverError(
      'IMAGE_NOT_FOUND',
      `fetch image ${digest} from ${from}: ${last?.message ?? 'no host is named as having it'}`,
      {
        cause: last,
        retryable: true,
      },
    )
  }

  async #fetch(digest: string, source: Peer): Promise<void> {
    const connection = await openStream(source, this.#access, { kind: 'image', digest })
    const staged = this.#images.stage()
    try {
      const record = await receiveLayer(connection, digest, join(staged, 'layer.tar'))
      await unpackLayer(join(staged, 'layer.tar'), join(staged, 'rootfs'))
      await this.#images.publish(staged, record)
    } catch (thrown) {
      await this.#images.discard(staged)
      throw thrown
    } finally {
      connection.destroy()
    }
  }
}

async function receiveLayer(connection: StreamConnection, digest: string, path: string): Promise<ImageRecord> {
  const head = await connection.receiveMessage()
  if (head.kind !== 'image')
    throw new DroverError('BAD_REQUEST', `fetch image ${digest}: ${head.kind} came where its head was due`)
  const hash = createHash('sha256')
  const file = await open(path, 'w', 0o644)
  let received = 0
  try {
    for (;;) {
      const frame = await connection.receive()
      if (frame.type === StreamFrameType.end) break
      received += frame.payload.length
      if (frame.type !== StreamFrameType.data || received > head.sizeBytes) {
        throw new DroverError(
          'BAD_REQUEST',
          `fetch image ${digest}: more or other data than the ${head.sizeBytes} bytes it said`,
        )
      }
      hash.update(frame.payload)
      await file.write(frame.payload)
    }
  } finally {
    await file.close()
  }
  const actual = `sha256:${hash.digest('hex')}`
  if (actual !== digest)
    throw new DroverError('TRANSFER_FAILED', `fetch image ${digest}: what came has digest ${actual}`)
  return { digest, name: head.name, sizeBytes: head.sizeBytes, init: head.init }
}

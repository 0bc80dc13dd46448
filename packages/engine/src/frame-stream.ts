// Frames (see @drover/protocol frames.ts) on a byte stream: u32 little-endian length of (type + payload), u8 type, payload.
// Serves both sides of the engine's socket. A frame that is too long or empty ends the stream with an error: where the next
// one begins can't be known any more.

import type { Duplex } from 'node:stream'
import { DroverError, type Frame, FrameType, maxFrameBytes } from '@drover/protocol'

const headerBytes = 4

export function encodeFrame(type: FrameType, payload: Uint8Array | string = ''): Buffer {
  const body = typeof payload === 'string' ? Buffer.from(payload) : payload
  if (body.length + 1 > maxFrameBytes) {
    throw new DroverError('TOO_LARGE', `send a frame: ${body.length + 1} bytes, the limit is ${maxFrameBytes}`)
  }
  const frame = Buffer.allocUnsafe(headerBytes + 1 + body.length)
  frame.writeUInt32LE(body.length + 1, 0)
  frame[headerBytes] = type
  frame.set(body, headerBytes + 1)
  return frame
}

/** Cuts a byte stream into frames, however it was split. */
export class FrameDecoder {
  #buffered: Buffer = Buffer.alloc(0)

  /** The frames that are complete with this chunk. Throws DroverError TOO_LARGE or BAD_REQUEST; then it must not be used on. */
  push(chunk: Uint8Array): Frame[] {
    let data =
      this.#buffered.length === 0
        ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
        : Buffer.concat([this.#buffered, chunk])
    const frames: Frame[] = []
    while (data.length >= headerBytes) {
      const length = data.readUInt32LE(0)
      if (length > maxFrameBytes) {
        throw new DroverError('TOO_LARGE', `receive a frame: ${length} bytes, the limit is ${maxFrameBytes}`)
      }
      if (length === 0) throw new DroverError('BAD_REQUEST', 'receive a frame: it is empty, a type byte is needed')
      if (data.length < headerBytes + length) break
      const payload = data.subarray(headerBytes + 1, headerBytes + length)
      frames.push({ type: data[headerBytes] as FrameType, payload })
      data = data.subarray(headerBytes + length)
    }
    this.#buffered = data
    return frames
  }
}

export interface FrameHandlers {
  onFrame: (frame: Frame) => void
  /** Once. null: the peer ended it in order. */
  onClose: (error: DroverError | null) => void
}

/** Frames over a socket. */
export class FrameStream {
  readonly #socket: Duplex
  readonly #decoder = new FrameDecoder()
  readonly #handlers: FrameHandlers
  #closed = false

  constructor(socket: Duplex, handlers: FrameHandlers) {
    this.#socket = socket
    this.#handlers = handlers
    socket.on('data', (chunk: Buffer) => this.#receive(chunk))
    socket.on('error', (error) => this.#close(new DroverError('ENGINE_FAILED', error.message, { cause: error })))
    socket.on('close', () => this.#close(null))
    socket.on('end', () => socket.end())
  }

  get closed(): boolean {
    return this.#closed
  }

  /** False when the peer reads too slowly: then wait for `drained` before sending much more. */
  send(type: FrameType, payload: Uint8Array | string = ''): boolean {
    if (this.#closed) return true
    return this.#socket.write(encodeFrame(type, payload))
  }

  sendJson(value: unknown): boolean {
    return this.send(FrameType.json, JSON.stringify(value))
  }

  /** Resolves when the send buffer is empty or the stream is closed. */
  drained(): Promise<void> {
    if (this.#closed || !this.#socket.writableNeedDrain) return Promise.resolve()
    return new Promise((resolve) => {
      const done = () => {
        this.#socket.off('drain', done)
        this.#socket.off('close', done)
        resolve()
      }
      this.#socket.on('drain', done)
      this.#socket.on('close', done)
    })
  }

  /** Stops reading, so that the peer is held back. */
  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  /** Closes after what was sent has gone out. */
  end(): void {
    this.#socket.end()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #receive(chunk: Buffer): void {
    if (this.#closed) return
    let frames: Frame[]
    try {
      frames = this.#decoder.push(chunk)
    } catch (thrown) {
      const error = DroverError.from(thrown)
      // Once it is told, nothing more is read of it: a peer that keeps its side open must not keep the socket.
      if (!this.#socket.destroyed) {
        this.#socket.end(encodeFrame(FrameType.error, JSON.stringify(error.toJSON())), () => this.#socket.destroy())
      }
      this.#close(error)
      return
    }
    for (const frame of frames) {
      if (this.#closed) return
      this.#handlers.onFrame(frame)
    }
  }

  #close(error: DroverError | null): void {
    if (this.#closed) return
    this.#closed = true
    this.#handlers.onClose(error)
    if (error && !this.#socket.writableEnded) this.#socket.destroy()
  }
}

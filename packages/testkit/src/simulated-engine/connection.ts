// A client of the engine's socket: frames in, frames out, with back-pressure. Framing is protocol's: u32 little-endian
// length of (type + payload), u8 type, payload; a frame over the limit ends the connection with TOO_LARGE.

import type { Socket } from 'node:net'
import { DroverError, FrameType, maxFrameBytes } from '@drover/protocol'

const headerBytes = 4

export interface ConnectionEvents {
  frame(type: number, payload: Buffer): void
  closed(): void
}

export class Connection {
  readonly #socket: Socket
  #pending: Buffer = Buffer.alloc(0)
  #refused = false

  constructor(socket: Socket, events: ConnectionEvents) {
    this.#socket = socket
    socket.on('data', (chunk) => this.#read(chunk, events))
    socket.on('error', () => {})
    socket.on('close', () => events.closed())
  }

  /** Resolves when the socket has room for more. */
  async send(type: number, payload: Buffer | string): Promise<void> {
    const body = typeof payload === 'string' ? Buffer.from(payload) : payload
    for (let offset = 0; offset === 0 || offset < body.length; offset += maxFrameBytes - 1) {
      await this.#write(type, body.subarray(offset, offset + maxFrameBytes - 1))
    }
  }

  sendJson(value: unknown): void {
    void this.send(FrameType.json, JSON.stringify(value))
  }

  end(): void {
    this.#socket.end()
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  #write(type: number, body: Buffer): Promise<void> {
    if (this.#socket.destroyed || this.#socket.writableEnded) return Promise.resolve()
    const header = Buffer.alloc(headerBytes + 1)
    header.writeUInt32LE(1 + body.length)
    header[headerBytes] = type
    this.#socket.write(header)
    if (this.#socket.write(body)) return Promise.resolve()
    return new Promise((resolve) => {
      const done = () => {
        this.#socket.off('drain', done)
        this.#socket.off('close', done)
        resolve()
      }
      this.#socket.once('drain', done)
      this.#socket.once('close', done)
    })
  }

  #read(chunk: Buffer, events: ConnectionEvents): void {
    if (this.#refused) return
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk])
    while (this.#pending.length >= headerBytes) {
      const length = this.#pending.readUInt32LE()
      if (length < 1 || length > maxFrameBytes) {
        this.#refuse(length)
        return
      }
      if (this.#pending.length < headerBytes + length) return
      const frame = this.#pending.subarray(headerBytes, headerBytes + length)
      this.#pending = this.#pending.subarray(headerBytes + length)
      events.frame(frame[0]!, frame.subarray(1))
    }
  }

  #refuse(length: number): void {
    this.#refused = true
    this.#pending = Buffer.alloc(0)
    const error = new DroverError('TOO_LARGE', `a frame of ${length} bytes came; 1 to ${maxFrameBytes} are allowed`)
    this.sendJson({ id: null, error: error.toJSON().error })
    this.end()
  }
}

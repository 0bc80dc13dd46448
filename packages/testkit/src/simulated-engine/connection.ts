// A client of the engine's socket: the frame stream of @drover/engine, with outputs of any length cut into frames and
// back-pressure as a promise.

import type { Socket } from 'node:net'
import { FrameStream } from '@drover/engine'
import { FrameType, maxFrameBytes } from '@drover/protocol'

/** What one frame can carry beside its type. */
const maxPayloadBytes = maxFrameBytes - 1

export interface ConnectionEvents {
  frame(type: FrameType, payload: Uint8Array): void
  closed(): void
}

export class Connection {
  readonly #stream: FrameStream

  constructor(socket: Socket, events: ConnectionEvents) {
    this.#stream = new FrameStream(socket, {
      onFrame: ({ type, payload }) => events.frame(type, payload),
      onClose: () => events.closed(),
    })
  }

  /** Resolves when the socket has room for more. */
  async send(type: FrameType, payload: Buffer | string): Promise<void> {
    const body = typeof payload === 'string' ? Buffer.from(payload) : payload
    for (let offset = 0; offset === 0 || offset < body.length; offset += maxPayloadBytes) {
      if (!this.#stream.send(type, body.subarray(offset, offset + maxPayloadBytes))) await this.#stream.drained()
    }
  }

  sendJson(value: unknown): void {
    void this.send(FrameType.json, JSON.stringify(value))
  }

  end(): void {
    this.#stream.end()
  }

  pause(): void {
    this.#stream.pause()
  }

  resume(): void {
    this.#stream.resume()
  }
}

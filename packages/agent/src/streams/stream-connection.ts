// Frames over a socket, both ways, with backpressure: receive() takes the next frame, and a reader that lags pauses the socket; send
// waits while the kernel's buffer is full. Every wait ends by its deadline or with the connection. A frame over the limit ends
// the connection at its header, before it is held in memory.

import { Socket } from 'node:net'
import { DroverError, type ErrorCode, errorCodes } from '@drover/protocol'
import { describeViolation } from '../describe-violation.ts'
import { maxHelloBytes, maxPayloadBytes, messageValidator, StreamFrameType, type StreamMessage } from './messages.ts'
import type { Flow } from './pace.ts'

export interface StreamFrame {
  type: number
  payload: Buffer
}

/** A peer that says nothing for this long in the middle of a transfer is given up. */
export const idleDeadlineMs = 30_000
const headerBytes = 5
/** Under a bandwidth limit frames are small, so that even a slow one arrives long before the peer is given up. */
const throttledFrameBytes = 64 << 10
const pauseAboveBytes = 4 << 20
/** Copied behind its header, which costs less than to write two buffers. */
const smallBytes = 4 << 10
/** The socket of a connection that has passed its own on. */
const nobody = new Socket()

export class StreamConnection {
  readonly peer: string
  #socket: Socket
  readonly #unlisten: () => void
  #limit = maxHelloBytes
  #chunks: Buffer[] = []
  #chunkBytes = 0
  #frames: StreamFrame[] = []
  #frameBytes = 0
  #waiting: { resolve: (frame: StreamFrame) => void; reject: (error: unknown) => void } | null = null
  #error: DroverError | null = null
  #refusing = false
  #draining: Promise<void> | null = null
  #closeListeners: ((error: DroverError) => void)[] = []
  #givenBack: (() => void) | null = null
  #sending: Flow[] = []
  #receiving: Flow | null = null
  /** Arrived bytes that are not paid for yet. */
  #owing = false
  /** How long senders were held back by a bandwidth limit. */
  heldBackMs = 0
  bytesSent = 0
  bytesReceived = 0

  constructor(socket: Socket) {
    this.#socket = socket
    this.peer = `${socket.remoteAddress ?? '?'}:${socket.remotePort ?? 0}`
    const ended = (why: string, cause?: Error) =>
      this.#end(new DroverError('TRANSFER_FAILED', `stream with ${this.peer}: ${why}`, cause ? { cause } : {}))
    const came = (chunk: Buffer) => this.#take(chunk)
    const failed = (cause: Error) => ended(cause.message, cause)
    const left = () => ended('closed by the other side')
    const closed = () => ended('closed')
    socket.on('data', came).on('error', failed).on('end', left).on('close', closed)
    this.#unlisten = () => socket.off('data', came).off('error', failed).off('end', left).off('close', closed)
  }

  /**
   * The same socket for another stream, and nothing of this one: nobody knows the peer's secret there yet. Null: it has ended, or something of it
   * is on its way still. What is done to this one from now on reaches nobody, and nobody is told of its end.
   */
  renew(): StreamConnection | null {
    const busy = this.#waiting !== null || this.#draining !== null || this.#owing
    if (this.#error || busy || this.#chunkBytes > 0 || this.#frames.length > 0) return null
    const socket = this.#socket
    this.#unlisten()
    this.#closeListeners = []
    this.#end(new DroverError('TRANSFER_FAILED', `stream with ${this.peer}: finished`))
    this.#socket = nobody
    return new StreamConnection(socket)
  }

  /** What happens when giveBack is called. */
  onGivenBack(listener: () => void): void {
    this.#givenBack = listener
  }

  /** All that this stream was for is done: whoever accepted the connection may await another one on it. */
  giveBack(): void {
    if (this.#givenBack && !this.#error) this.#givenBack()
    else this.destroy()
  }

  /** The peer has shown the secret: it may send large frames. */
  trust(): void {
    this.#limit = maxPayloadBytes
  }

  /** Longest payload that should be sent in one frame now. */
  get frameBytes(): number {
    return this.#sending.length > 0 ? throttledFrameBytes : maxPayloadBytes
  }

  /** From now on data is paid for in each of these; none: as fast as it goes. */
  throttleSending(flows: Flow[]): void {
    this.#sending = flows
  }

  throttleReceiving(flow: Flow | null): void {
    this.#receiving = flow
  }

  /** What ended it; null: nothing has. */
  get ended(): DroverError | null {
    return this.#error
  }

  onClose(listener: (error: DroverError) => void): void {
    if (this.#error) listener(this.#error)
    else this.#closeListeners.push(listener)
  }

  /** The next frame, or an error when the peer is gone or silent for `deadlineMs`. One caller at a time. */
  receive(deadlineMs = idleDeadlineMs): Promise<StreamFrame> {
    const frame = this.#frames.shift()
    if (frame) {
      this.#frameBytes -= frame.payload.length
      this.#resume()
      return Promise.resolve(frame)
    }
    if (this.#error) return Promise.reject(this.#error)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting = null
        reject(new DroverError('TIMED_OUT', `stream with ${this.peer}: nothing came within ${deadlineMs} ms`))
      }, deadlineMs)
      this.#waiting = {
        resolve: (arrived) => {
          clearTimeout(timer)
          resolve(arrived)
        },
        reject: (error) => {
          clearTimeout(timer)
          reject(error)
        },
      }
    })
  }

  /** The next frame as a message; an `error` message of the peer is thrown. */
  async receiveMessage(deadlineMs = idleDeadlineMs): Promise<StreamMessage> {
    return decodeStreamMessage(await this.receive(deadlineMs))
  }

  sendMessage(message: StreamMessage | object): Promise<void> {
    return this.send(StreamFrameType.control, Buffer.from(JSON.stringify(message)))
  }

  /** Bytes of any length, in frames of the allowed size. */
  async sendData(data: Buffer): Promise<void> {
    for (let from = 0; from < data.length; ) {
      const to = from + this.frameBytes
      await this.send(StreamFrameType.data, data.subarray(from, to))
      from = to
    }
  }

  sendEnd(): Promise<void> {
    return this.send(StreamFrameType.end, Buffer.alloc(0))
  }

  /** Small frames that follow each other go out in one write. */
  cork(): void {
    this.#socket.cork()
  }

  uncork(): void {
    this.#socket.uncork()
  }

  send(type: number, payload: Buffer): Promise<void> {
    if (this.#error) return Promise.reject(this.#error)
    const small = payload.length <= smallBytes
    const header = Buffer.allocUnsafe(headerBytes + (small ? payload.length : 0))
    header.writeUInt32LE(payload.length + 1, 0)
    header[4] = type
    this.bytesSent += headerBytes + payload.length
    if (small) header.set(payload, headerBytes)
    else this.#socket.cork()
    let room = this.#socket.write(header)
    if (!small) {
      room = this.#socket.write(payload)
      this.#socket.uncork()
    }
    if (this.#sending.length > 0 && type === StreamFrameType.data) return this.#held(payload.length, room)
    return room ? Promise.resolve() : this.#drain()
  }

  /** What was sent has to be paid for before the sender goes on. */
  async #held(bytes: number, room: boolean): Promise<void> {
    const heldAt = performance.now()
    await Promise.all([room ? undefined : this.#drain(), ...this.#sending.map((flow) => flow.pay(bytes))])
    this.heldBackMs += performance.now() - heldAt
  }

  #drain(): Promise<void> {
    // Several may be sent before anyone waits: they all wait for the same.
    this.#draining ??= this.#drained().finally(() => {
      this.#draining = null
    })
    return this.#draining
  }

  /** Says why, then closes. */
  refuse(error: DroverError): void {
    const text = JSON.stringify({ kind: 'error', code: error.code, message: error.message })
    this.send(StreamFrameType.control, Buffer.from(text)).catch(() => {})
    this.#end(error)
    this.#refusing = true
    this.#socket.resume()
    this.#socket.end()
    // A peer that neither reads nor closes doesn't keep the socket.
    setTimeout(() => this.#socket.destroy(), 1_000).unref()
  }

  /** Everything was sent: closes after it. */
  finish(): void {
    this.#end(new DroverError('TRANSFER_FAILED', `stream with ${this.peer}: finished`))
    this.#socket.end()
    setTimeout(() => this.#socket.destroy(), idleDeadlineMs).unref()
  }

  destroy(): void {
    this.#end(new DroverError('TRANSFER_FAILED', `stream with ${this.peer}: closed on this side`))
    // A refusal is still on its way; what the peer goes on sending is read and dropped, since a reset would overtake it.
    if (!this.#refusing) this.#socket.destroy()
  }

  #drained(): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const error = new DroverError('TIMED_OUT', `stream with ${this.peer}: it took no data for ${idleDeadlineMs} ms`)
        settle(() => reject(error))
        this.destroy()
      }, idleDeadlineMs)
      const drained = () => settle(resolve)
      const closed = () =>
        settle(() => reject(this.#error ?? new DroverError('TRANSFER_FAILED', `stream with ${this.peer}: closed`)))
      const settle = (then: () => void) => {
        clearTimeout(timer)
        this.#socket.off('drain', drained)
        this.#socket.off('close', closed)
        then()
      }
      this.#socket.once('drain', drained)
      this.#socket.once('close', closed)
    })
  }

  #take(chunk: Buffer): void {
    if (this.#error) return
    this.bytesReceived += chunk.length
    if (this.#receiving) this.#owe(this.#receiving, chunk.length)
    this.#chunks.push(chunk)
    this.#chunkBytes += chunk.length
    while (this.#chunkBytes >= headerBytes) {
      const head = this.#peek(headerBytes)
      const length = head.readUInt32LE(0)
      if (length < 1 || length > this.#limit + 1) {
        this.refuse(
          new DroverError(
            'TOO_LARGE',
            `stream with ${this.peer}: a frame says ${length} bytes; 1 to ${this.#limit + 1} are allowed`,
          ),
        )
        return
      }
      if (this.#chunkBytes < 4 + length) return
      const whole = this.#shift(4 + length)
      this.#deliver({ type: whole[4] as number, payload: whole.subarray(headerBytes) })
    }
  }

  #deliver(frame: StreamFrame): void {
    const refusal = refusalIn(frame)
    if (refusal) {
      this.#end(refusal)
      return
    }
    if (this.#waiting) {
      const { resolve } = this.#waiting
      this.#waiting = null
      resolve(frame)
      return
    }
    this.#frames.push(frame)
    this.#frameBytes += frame.payload.length
    if (this.#frameBytes >= pauseAboveBytes) this.#socket.pause()
  }

  /** Reads on when the arrived bytes have had their time; the peer's own writes wait meanwhile. */
  #owe(flow: Flow, bytes: number): void {
    this.#owing = true
    this.#socket.pause()
    void flow.pay(bytes).then(() => {
      this.#owing = false
      this.#resume()
    })
  }

  #resume(): void {
    if (!this.#owing && this.#frameBytes < pauseAboveBytes) this.#socket.resume()
  }

  #peek(length: number): Buffer {
    const first = this.#chunks[0] as Buffer
    if (first.length >= length) return first
    this.#chunks = [Buffer.concat(this.#chunks)]
    return this.#chunks[0] as Buffer
  }

  /** Takes exactly `length` bytes off the front. */
  #shift(length: number): Buffer {
    let first = this.#chunks[0] as Buffer
    if (first.length < length) {
      first = Buffer.concat(this.#chunks)
      this.#chunks = [first]
    }
    if (first.length === length) this.#chunks.shift()
    else this.#chunks[0] = first.subarray(length)
    this.#chunkBytes -= length
    return first.subarray(0, length)
  }

  #end(error: DroverError): void {
    if (this.#error) return
    this.#error = error
    const waiting = this.#waiting
    this.#waiting = null
    waiting?.reject(error)
    for (const listener of this.#closeListeners.splice(0)) listener(error)
  }
}

/** The peer says why it closes: that, and not the closing, is what went wrong. */
function refusalIn(frame: StreamFrame): DroverError | null {
  if (frame.type !== StreamFrameType.control || !frame.payload.subarray(0, 16).includes('"error"')) return null
  try {
    decodeStreamMessage(frame)
    return null
  } catch (thrown) {
    return DroverError.from(thrown)
  }
}

export function decodeStreamMessage(frame: StreamFrame): StreamMessage {
  if (frame.type !== StreamFrameType.control) {
    throw new DroverError('BAD_REQUEST', `stream: a frame of type ${frame.type} came where a message was due`)
  }
  let value: unknown
  try {
    value = JSON.parse(frame.payload.toString())
  } catch (cause) {
    throw new DroverError('BAD_REQUEST', 'stream: a message is not JSON', { cause })
  }
  if (!messageValidator.Check(value)) {
    throw new DroverError('BAD_REQUEST', `stream: ${describeViolation(messageValidator, value)}`)
  }
  if (value.kind === 'error') {
    const code: ErrorCode = Object.hasOwn(errorCodes, value.code) ? (value.code as ErrorCode) : 'TRANSFER_FAILED'
    throw new DroverError(code, value.message)
  }
  return value
}

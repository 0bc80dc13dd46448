// The typed client of the engine's socket: calls with deadlines, events, exec sessions. One connection carries the calls and
// events; when it breaks, calls under way fail (they are idempotent: call again), and it is opened anew with backoff.

import { DroverError, type Frame, FrameType, protocolVersion } from '@drover/protocol'
import { type ExecHandlers, type ExecParams, ExecSession } from './exec-session.ts'
import { FrameStream } from './frame-stream.ts'
import type { EngineEvent, EngineMethod, EngineMethods } from './messages.ts'
import { openSocket } from './open-socket.ts'

/** Long enough for a stop, dump or restore of a big container; calls that wait on purpose add their own time. */
const defaultDeadlineMs = 30_000
const connectDeadlineMs = 5_000
const firstRetryMs = 20
const lastRetryMs = 1_000

interface PendingCall {
  method: string
  resolve: (result: unknown) => void
  reject: (error: DroverError) => void
  timer: NodeJS.Timeout
}

export interface EngineClientOptions {
  /** Called on each change between connected and not; after a reconnect, list again: events were missed. */
  onUp?: (up: boolean) => void
}

export class EngineClient {
  readonly path: string
  readonly #options: EngineClientOptions
  readonly #pending = new Map<number, PendingCall>()
  readonly #listeners = new Set<(event: EngineEvent) => void>()
  #nextId = 1
  #stream: FrameStream | null = null
  #connecting: Promise<FrameStream> | null = null
  #retry: NodeJS.Timeout | null = null
  #retryMs = firstRetryMs
  #closed = false

  /** Does not connect yet: the first call, `onEvent` or `keepConnected` does. */
  constructor(path: string, options: EngineClientOptions = {}) {
    this.path = path
    this.#options = options
  }

  /** Connects and checks the protocol version; rejects when the engine can't be reached. */
  static async connect(path: string, options: EngineClientOptions = {}): Promise<EngineClient> {
    const client = new EngineClient(path, options)
    try {
      await client.call('hello', { protocolVersion })
    } catch (error) {
      client.close()
      throw error
    }
    return client
  }

  get up(): boolean {
    return this.#stream !== null
  }

  /**
   * One request. Rejects with the engine's DroverError, with TIMED_OUT at the deadline, or with a retryable ENGINE_FAILED
   * when the engine can't be reached or the connection broke before the answer.
   */
  async call<M extends EngineMethod>(
    method: M,
    params: EngineMethods[M]['params'],
    options: { deadlineMs?: number } = {},
  ): Promise<EngineMethods[M]['result']> {
    if (this.#closed) throw new DroverError('CANCELLED', `engine ${method}: the client is closed`)
    const deadlineMs = options.deadlineMs ?? defaultDeadlineMs
    const stream = await this.#connected()
    return new Promise((resolve, reject) => {
      const id = this.#nextId++
      const timer = setTimeout(() => {
        this.#pending.delete(id)
        reject(new DroverError('TIMED_OUT', `engine ${method}: no answer in ${deadlineMs} ms`))
      }, deadlineMs)
      this.#pending.set(id, { method, resolve: resolve as (result: unknown) => void, reject, timer })
      try {
        stream.sendJson({ id, method, params })
      } catch (error) {
        clearTimeout(timer)
        this.#pending.delete(id)
        reject(DroverError.from(error))
      }
    })
  }

  /** Subscribes; returns what unsubscribes. Events that happen while the connection is down are missed (see onUp). */
  onEvent(listener: (event: EngineEvent) => void): () => void {
    const first = this.#listeners.size === 0
    this.#listeners.add(listener)
    if (this.#stream) {
      if (first) this.#subscribe(this.#stream)
    } else {
      this.keepConnected()
    }
    return () => this.#listeners.delete(listener)
  }

  /** From now on a lost connection is opened again without waiting for a call. */
  keepConnected(): void {
    if (this.#closed || this.#retry) return
    this.#connected().catch(() => this.#retryLater())
  }

  /** Runs a command inside; on a connection of its own. */
  exec(params: ExecParams, handlers: ExecHandlers = {}, options: { deadlineMs?: number } = {}): Promise<ExecSession> {
    return ExecSession.start(this.path, params, handlers, options.deadlineMs ?? defaultDeadlineMs)
  }

  close(): void {
    this.#closed = true
    if (this.#retry) clearTimeout(this.#retry)
    this.#stream?.destroy()
    this.#lost(null)
  }

  #connected(): Promise<FrameStream> {
    if (this.#stream) return Promise.resolve(this.#stream)
    this.#connecting ??= this.#open().finally(() => {
      this.#connecting = null
    })
    return this.#connecting
  }

  async #open(): Promise<FrameStream> {
    const socket = await openSocket(this.path, connectDeadlineMs)
    if (this.#closed) {
      socket.destroy()
      throw new DroverError('CANCELLED', 'engine: the client is closed')
    }
    const stream = new FrameStream(socket, {
      onFrame: (frame) => this.#receive(frame),
      onClose: (error) => {
        if (this.#stream === stream) this.#lost(error)
      },
    })
    this.#stream = stream
    this.#retryMs = firstRetryMs
    if (this.#listeners.size > 0) this.#subscribe(stream)
    this.#options.onUp?.(true)
    return stream
  }

  /** As request 0, which nobody waits for. */
  #subscribe(stream: FrameStream): void {
    stream.sendJson({ id: 0, method: 'subscribe', params: {} })
  }

  #receive(frame: Frame): void {
    if (frame.type === FrameType.error) {
      this.#lost(DroverError.fromJSON(parseJson(frame.payload)))
      return
    }
    if (frame.type !== FrameType.json) return
    const message = parseJson(frame.payload)
    if (typeof message !== 'object' || message === null) return
    if ('event' in message) {
      for (const listener of this.#listeners) listener(message as EngineEvent)
      return
    }
    const { id, result, error } = message as { id: number; result?: unknown; error?: unknown }
    const pending = this.#pending.get(id)
    if (!pending) return
    this.#pending.delete(id)
    clearTimeout(pending.timer)
    if (error) pending.reject(DroverError.fromJSON({ error }))
    else pending.resolve(result)
  }

  #lost(cause: DroverError | null): void {
    const stream = this.#stream
    this.#stream = null
    stream?.destroy()
    const pending = [...this.#pending.values()]
    this.#pending.clear()
    for (const call of pending) {
      clearTimeout(call.timer)
      call.reject(
        cause?.code && cause.code !== 'ENGINE_FAILED'
          ? cause
          : new DroverError('ENGINE_FAILED', `engine ${call.method}: the connection broke before the answer`, {
              cause,
              retryable: true,
            }),
      )
    }
    if (stream) this.#options.onUp?.(false)
    if (this.#listeners.size > 0 || this.#options.onUp) this.#retryLater()
  }

  #retryLater(): void {
    if (this.#closed || this.#retry) return
    this.#retry = setTimeout(() => {
      this.#retry = null
      this.keepConnected()
    }, this.#retryMs)
    this.#retry.unref()
    this.#retryMs = Math.min(this.#retryMs * 2, lastRetryMs)
  }
}

function parseJson(payload: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(payload).toString())
  } catch {
    return null
  }
}

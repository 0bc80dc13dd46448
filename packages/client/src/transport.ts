// One call over several endpoints. An endpoint that doesn't answer, or answers that it can't now, is passed over for the next
// one; after a round without success there is a pause, until the deadline. Whoever answered last is asked first next time.

import type { IncomingMessage } from 'node:http'
import type { ClientConfig, ErrorCode } from '@drover/protocol'
import { DroverError } from '@drover/protocol/plain'
import { backoffMs, pause } from './backoff.ts'
import { ConnectionFailure, exchangeJson, type HttpCall, isSuccess, openExchange, readError } from './http-request.ts'

/** An election takes about a second and a busy machine several; after this a person wants to know. */
export const defaultDeadlineMs = 20_000
/** When nobody even listens at any endpoint there is no election to wait for, only a restart. */
export const refusedDeadlineMs = 3000
/** A controller answers within its own 3 s limit or not at all. */
const answerTimeoutMs = 10_000

export interface CallOptions {
  body?: unknown
  /** Instead of a body of JSON. */
  bytes?: Uint8Array
  idempotencyKey?: string
  deadlineMs?: number
  signal?: AbortSignal | null
}

/** Refusals that another controller, or the same one a moment later, may not repeat; nothing was changed by them. */
const worthAnotherTry: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'NOT_LEADER',
  'NO_QUORUM',
  'PLACEMENT_STALE',
  'LIMIT_REACHED',
])

export class Transport {
  readonly #endpoints: string[]
  readonly #headers: Record<string, string>
  #preferred = 0

  constructor(config: ClientConfig) {
    this.#endpoints = [...config.endpoints]
    this.#headers = { authorization: `Bearer ${config.secret}`, accept: 'application/json' }
  }

  json(method: HttpCall['method'], path: string, options: CallOptions = {}): Promise<unknown> {
    const call = this.#call(method, path, options, answerTimeoutMs)
    return this.attempt(`${method} ${path}`, options, (endpoint) => exchangeJson(endpoint, call))
  }

  /** A streaming answer: the body is the caller's to read. */
  stream(path: string, options: CallOptions & { idleTimeoutMs: number; headers?: Record<string, string> }) {
    const call = this.#call('GET', path, options, options.idleTimeoutMs)
    Object.assign(call.headers, options.headers)
    return this.attempt(`GET ${path}`, options, async (endpoint): Promise<IncomingMessage> => {
      const response = await openExchange(endpoint, call)
      if (isSuccess(response)) return response
      throw await readError(endpoint, response)
    })
  }

  get authorization(): string {
    return this.#headers.authorization as string
  }

  /** Tries `exchange` with one endpoint after the other until one succeeds, the refusal is final, or the deadline has passed. */
  async attempt<Answer>(
    what: string,
    options: Pick<CallOptions, 'deadlineMs' | 'signal'>,
    exchange: (endpoint: string) => Promise<Answer>,
  ): Promise<Answer> {
    const startedAt = performance.now()
    const deadlineMs = options.deadlineMs ?? defaultDeadlineMs
    let unconfirmed: DroverError | null = null
    for (let round = 0; ; round++) {
      const failures: unknown[] = []
      for (const _ of this.#endpoints) {
        try {
          return await exchange(this.#endpoints[this.#preferred] as string)
        } catch (error) {
          if (!isWorthAnotherTry(error)) throw error
          if (mayBeDoneLater(error)) unconfirmed = error
          failures.push(error)
        }
        this.#preferred = (this.#preferred + 1) % this.#endpoints.length
      }
      const elapsedMs = performance.now() - startedAt
      const waitMs = backoffMs(round)
      const limitMs = failures.every(isRefused) ? Math.min(deadlineMs, refusedDeadlineMs) : deadlineMs
      if (elapsedMs + waitMs > limitMs) throw unconfirmed ?? this.#giveUp(what, failures, elapsedMs)
      await pause(waitMs, options.signal ?? null)
    }
  }

  /** What a controller said is worth more than that another one is down. */
  #giveUp(what: string, failures: readonly unknown[], elapsedMs: number): DroverError {
    const refusal = failures.find((failure) => failure instanceof DroverError)
    if (refusal) return refusal
    const failure = failures.at(-1)
    const tried = this.#endpoints.join(', ')
    return new DroverError(
      'API_UNREACHABLE',
      `${what}: no controller answered at ${tried} for ${(elapsedMs / 1000).toFixed(1)} s (last: ${(failure as Error).message})`,
      { cause: failure, retryable: true, context: { endpoints: this.#endpoints } },
    )
  }

  #call(method: HttpCall['method'], path: string, options: CallOptions, idleTimeoutMs: number): HttpCall {
    const headers = { ...this.#headers }
    if (options.idempotencyKey) headers['idempotency-key'] = options.idempotencyKey
    const body = options.bytes ?? (options.body === undefined ? null : JSON.stringify(options.body))
    return { method, path, headers, body, idleTimeoutMs, signal: options.signal ?? null }
  }
}

function isWorthAnotherTry(error: unknown): boolean {
  if (error instanceof ConnectionFailure) return true
  return error instanceof DroverError && error.retryable && worthAnotherTry.has(error.code)
}

/** The log holds the request without a majority's word on it: later refusals don't take that back. */
function mayBeDoneLater(error: unknown): error is DroverError {
  return error instanceof DroverError && error.context.mayBeDoneLater === true
}

function isRefused(error: unknown): boolean {
  return error instanceof ConnectionFailure && error.refused
}

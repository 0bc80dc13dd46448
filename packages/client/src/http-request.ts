// One HTTP exchange with one endpoint. On node:http and not fetch, because streams (events, logs) then are plain Node streams
// with an idle timeout, and because fetch's pool keeps a finished CLI command from ending at once.

import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import type { ErrorBody } from '@drover/protocol'
import { DroverError } from '@drover/protocol/plain'

export interface HttpCall {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Path and query. */
  path: string
  headers: Record<string, string>
  /** Text is JSON. */
  body: string | Uint8Array | null
  /** The exchange is given up when nothing arrives for this long. */
  idleTimeoutMs: number
  signal: AbortSignal | null
}

/** A connection that broke before or while answering: another endpoint, or a later try, may do. */
export class ConnectionFailure extends Error {
  /** Nothing listens there, so nothing can have been done. */
  readonly refused: boolean

  constructor(endpoint: string, cause: Error) {
    super(`${endpoint}: ${(cause as NodeJS.ErrnoException).code ?? cause.message}`, { cause })
    this.name = 'ConnectionFailure'
    this.refused = (cause as NodeJS.ErrnoException).code === 'ECONNREFUSED'
  }
}

// unref'd by Node while idle; so few sockets that no bound but Node's own per agent is needed.
const agents = { 'http:': new HttpAgent({ keepAlive: true }), 'https:': new HttpsAgent({ keepAlive: true }) }

/** Sends and resolves with the answer's head; the body is still to be read. Throws ConnectionFailure, or the signal's reason. */
export function openExchange(endpoint: string, call: HttpCall): Promise<IncomingMessage> {
  const url = new URL(call.path, endpoint)
  const secure = url.protocol === 'https:'
  return new Promise((resolve, reject) => {
    const request = (secure ? httpsRequest : httpRequest)(url, {
      method: call.method,
      headers: call.body === null ? call.headers : { ...call.headers, 'content-type': typeOf(call.body) },
      agent: secure ? agents['https:'] : agents['http:'],
      timeout: call.idleTimeoutMs,
      ...(call.signal ? { signal: call.signal } : {}),
    })
    const fail = (error: Error) =>
      reject(call.signal?.aborted ? call.signal.reason : new ConnectionFailure(endpoint, error))
    request.on('error', fail)
    request.on('timeout', () =>
      request.destroy(Object.assign(new Error('no answer'), { code: `no answer for ${call.idleTimeoutMs} ms` })),
    )
    request.on('response', resolve)
    request.end(call.body ?? undefined)
  })
}

const typeOf = (body: string | Uint8Array): string =>
  typeof body === 'string' ? 'application/json' : 'application/octet-stream'

/** The whole exchange with a JSON answer. Throws what the answer says when its status isn't 2xx. */
export async function exchangeJson(endpoint: string, call: HttpCall): Promise<unknown> {
  const response = await openExchange(endpoint, call)
  const text = await readText(endpoint, response, call.signal)
  if (isSuccess(response)) return parseAnswer(endpoint, call, text)
  throw errorOf(endpoint, response, text)
}

export function isSuccess(response: IncomingMessage): boolean {
  return response.statusCode !== undefined && response.statusCode >= 200 && response.statusCode < 300
}

/** The error of an answer whose status isn't 2xx; reads what is left of it. */
export async function readError(endpoint: string, response: IncomingMessage): Promise<DroverError> {
  return errorOf(endpoint, response, await readText(endpoint, response, null))
}

async function readText(endpoint: string, response: IncomingMessage, signal: AbortSignal | null): Promise<string> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of response) chunks.push(chunk as Buffer)
  } catch (error) {
    if (signal?.aborted) throw signal.reason
    throw new ConnectionFailure(endpoint, error as Error)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parseAnswer(endpoint: string, call: HttpCall, text: string): unknown {
  if (text === '') return null
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new DroverError('INTERNAL', `${call.method} ${call.path}: ${endpoint} answered what is not JSON`, { cause })
  }
}

function errorOf(endpoint: string, response: IncomingMessage, text: string): DroverError {
  let body: Partial<ErrorBody> | null = null
  try {
    body = JSON.parse(text)
  } catch {
    // Not ours: a proxy's page, say. The status has to do.
  }
  if (body?.error) return DroverError.fromJSON(body)
  return new DroverError('INTERNAL', `${endpoint} answered ${response.statusCode} with no drover error in it`)
}

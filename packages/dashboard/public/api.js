// The HTTP API as this page uses it. The secret is asked for once and lives as long as the tab.

import { EventParser } from './event-parser.js'

const secretKey = 'drover-secret'
const requestDeadlineMs = 15_000
const firstRetryMs = 500
const longestRetryMs = 8_000
/** Without a sign of life (the API sends one every few seconds) the stream counts as dead. */
const silenceMs = 20_000

export class ApiError extends Error {
  constructor(code, message) {
    super(message)
    this.code = code
  }
}

export const secret = {
  get: () => sessionStorage.getItem(secretKey),
  set: (value) => sessionStorage.setItem(secretKey, value),
  forget: () => sessionStorage.removeItem(secretKey),
}

export const read = (path) => request('GET', path)
export const write = (path, body = {}) => request('POST', path, body)

async function request(method, path, body) {
  const headers = { authorization: `Bearer ${secret.get()}` }
  if (body !== undefined) {
    headers['content-type'] = 'application/json'
    headers['idempotency-key'] = randomKey()
  }
  const signal = AbortSignal.timeout(requestDeadlineMs)
  let response
  try {
    response = await fetch(path, {
      method,
      headers,
      signal,
      body: body === undefined ? undefined : JSON.stringify(body),
    })
  } catch {
    throw new ApiError('API_UNREACHABLE', `${method} ${path}: the controller does not answer`)
  }
  const answer = await response.json().catch(() => null)
  if (!response.ok) {
    throw new ApiError(
      answer?.error?.code ?? 'INTERNAL',
      answer?.error?.message ?? `${method} ${path}: HTTP ${response.status}`,
    )
  }
  return answer
}

/** crypto.randomUUID exists on secure origins only, and a cluster's API may be plain HTTP. */
function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** Follows the events until `signal` is aborted; `onState` hears 'live' and 'lost'. Goes on where it was after a break. */
export async function followEvents({ onEvent, onState, signal }) {
  let lastId = null
  let retryMs = firstRetryMs
  while (!signal.aborted) {
    try {
      await oneStream({
        lastId,
        signal,
        onOpen: () => {
          retryMs = firstRetryMs
          onState('live')
        },
        onEvent: (event) => {
          lastId = event.id
          onEvent(JSON.parse(event.data))
        },
      })
    } catch {
      // The connection broke, or there was none: told by the state below.
    }
    if (signal.aborted) return
    onState('lost')
    await new Promise((resolve) => setTimeout(resolve, retryMs))
    retryMs = Math.min(longestRetryMs, retryMs * 2)
  }
}

async function oneStream({ lastId, signal, onOpen, onEvent }) {
  const silence = new AbortController()
  const headers = { authorization: `Bearer ${secret.get()}`, accept: 'text/event-stream' }
  if (lastId !== null) headers['last-event-id'] = lastId
  const response = await fetch('/v1/events', { headers, signal: AbortSignal.any([signal, silence.signal]) })
  if (!response.ok) throw new ApiError('INTERNAL', `events: HTTP ${response.status}`)
  onOpen()
  const parser = new EventParser()
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  for (;;) {
    const watchdog = setTimeout(() => silence.abort(), silenceMs)
    const { done, value } = await reader.read()
    clearTimeout(watchdog)
    if (done) return
    for (const event of parser.push(value)) onEvent(event)
  }
}

// The cluster's events as an async iterator. Server-sent events from any controller; when the connection ends it goes on at the
// next one after the last event seen (Last-Event-ID), so that a change of leader loses nothing the controllers still hold.

import type { IncomingMessage } from 'node:http'
import type { ClusterEvent } from '@drover/protocol'
import { DroverError, paths } from '@drover/protocol/plain'
import { createParser } from 'eventsource-parser'
import { backoffMs, pause } from './backoff.ts'
import type { Transport } from './transport.ts'

export interface EventOptions {
  /** Only events of this operation and of those that it started. */
  operation?: string
  /** Without those that it started: an evacuation has hundreds of moves. */
  alone?: boolean
  /** Start after this event; default: with what happens from now on. */
  after?: number
  signal?: AbortSignal | null
  /** How long no controller may answer before the iterator throws; default: a minute. */
  unreachableMs?: number
}

/** Controllers send a comment every few seconds; a connection that is silent for longer is dead. */
const idleTimeoutMs = 45_000
const defaultUnreachableMs = 60_000

export async function* eventStream(transport: Transport, options: EventOptions = {}): AsyncGenerator<ClusterEvent> {
  const query = queryOf(options)
  const unreachableMs = options.unreachableMs ?? defaultUnreachableMs
  const signal = options.signal ?? null
  let lastId = options.after
  let answeredAt = performance.now()
  for (let tries = 0; ; tries++) {
    try {
      const response = await transport.stream(`${paths.events}${query}`, {
        idleTimeoutMs,
        signal,
        deadlineMs: unreachableMs,
        headers: { accept: 'text/event-stream', ...(lastId === undefined ? {} : { 'last-event-id': String(lastId) }) },
      })
      for await (const event of parse(response)) {
        tries = 0
        lastId = event.id
        yield event
      }
      answeredAt = performance.now()
    } catch (error) {
      if (signal?.aborted) return
      const reachable = performance.now() - answeredAt < unreachableMs
      if (!(error instanceof DroverError && error.retryable && reachable)) throw error
    }
    if (signal?.aborted) return
    await pause(backoffMs(tries), signal).catch(() => {})
  }
}

function queryOf({ operation, alone }: EventOptions): string {
  if (operation === undefined) return ''
  return `?operation=${encodeURIComponent(operation)}${alone ? '&alone=true' : ''}`
}

/** Ends when the connection does, however it ends. */
async function* parse(response: IncomingMessage): AsyncGenerator<ClusterEvent> {
  const events: ClusterEvent[] = []
  const parser = createParser({ onEvent: ({ data }) => void events.push(parseEvent(data)) })
  response.setEncoding('utf8')
  try {
    for await (const chunk of swallowBreak(response)) {
      parser.feed(chunk)
      yield* events.splice(0)
    }
  } finally {
    response.destroy()
  }
}

async function* swallowBreak(response: IncomingMessage): AsyncGenerator<string> {
  try {
    yield* response as AsyncIterable<string>
  } catch {
    // The connection broke: the caller connects again.
  }
}

function parseEvent(data: string): ClusterEvent {
  try {
    return JSON.parse(data)
  } catch (cause) {
    throw new DroverError('INTERNAL', `read events: ${JSON.stringify(data.slice(0, 100))} is not JSON`, { cause })
  }
}

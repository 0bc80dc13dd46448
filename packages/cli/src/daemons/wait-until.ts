// Waiting for something to become true, with a deadline: the only way in which the daemons' starters, the laboratory and
// the stories wait. Nothing sleeps for a guessed time.

import { setTimeout as delay } from 'node:timers/promises'
import { DroverError } from '@drover/protocol/plain'

/** How often a predicate is asked again; short, since starting is what a person waits for. */
export const pollMs = 20

/**
 * Resolves with the first truthy value of the predicate. TIMED_OUT with `what` after the deadline; the last error that the
 * predicate threw is the cause.
 */
export async function waitUntil<T>(
  what: string,
  deadlineMs: number,
  predicate: () => T | Promise<T>,
  intervalMs = pollMs,
): Promise<NonNullable<T>> {
  const end = performance.now() + deadlineMs
  let last: unknown
  for (;;) {
    try {
      const value = await predicate()
      if (value) return value as NonNullable<T>
      last = undefined
    } catch (error) {
      if (error instanceof FatalWait) throw error.reason
      last = error
    }
    if (performance.now() >= end) {
      const because = last instanceof Error ? `: ${last.message}` : ''
      throw new DroverError('TIMED_OUT', `waited ${deadlineMs} ms for ${what}${because}`, { cause: last })
    }
    await delay(intervalMs)
  }
}

/** Thrown by a predicate that knows that waiting longer is of no use. */
export class FatalWait extends Error {
  readonly reason: DroverError
  constructor(reason: DroverError) {
    super(reason.message)
    this.reason = reason
  }
}

// Waits for an operation to end. Events only wake it up: what it believes is the operation as read from the API, so that a lost
// event costs a poll interval and nothing else. While no controller answers it keeps trying until the deadline.

import type { ClusterEvent, Operation } from '@drover/protocol'
import { DroverError } from '@drover/protocol/plain'

export interface WaitOptions {
  /** Called with the first state and with each one that differs from the last. */
  onProgress?: (operation: Operation) => void
  signal?: AbortSignal | null
  /** Default: an hour. An evacuation of a full host takes minutes. */
  deadlineMs?: number
}

const defaultDeadlineMs = 3_600_000
/**
 * Polls cover the time until the event stream is open (most operations end in it), events that are lost, and what has none of its own. Each
 * brings the whole operation, by way of the leader; of an evacuation that is its plan with all containers.
 */
const firstPollMs = 20
export const longestPollMs = 2_000
/** For whoever is told of progress, which long operations commit as often. */
export const longestProgressPollMs = 1_000
/** At the end of an operation its last event and the change itself come together: don't ask twice for one change. */
export const coalesceMs = 5

/** What waiting needs of the client; narrow, so that tests can script it. */
export interface WaitSource {
  operation(id: string, options: { signal: AbortSignal; deadlineMs: number }): Promise<Operation>
  /** Yields whenever something happened to the operation; ends or throws when it can't be known. */
  changes(id: string, signal: AbortSignal): AsyncIterable<Pick<ClusterEvent, 'kind' | 'operation'>>
}

export async function waitOperation(source: WaitSource, id: string, options: WaitOptions = {}): Promise<Operation> {
  const deadlineMs = options.deadlineMs ?? defaultDeadlineMs
  const endsAt = performance.now() + deadlineMs
  const stop = new AbortController()
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal
  const bell = new Bell()
  void ringOnChanges(source, id, signal, bell)
  let seen: Operation | null = null
  const longestMs = options.onProgress ? longestProgressPollMs : longestPollMs
  try {
    for (let pollMs = firstPollMs; ; pollMs = Math.min(longestMs, pollMs * 1.5)) {
      const leftMs = endsAt - performance.now()
      if (leftMs <= 0) throw deadlinePassed(id, seen, deadlineMs)
      bell.reset()
      const operation = await readOperation(source, id, signal, leftMs)
      if (operation && !sameState(seen, operation)) {
        seen = operation
        options.onProgress?.(operation)
      }
      if (operation && operation.state !== 'running') return operation
      await bell.wait(Math.min(pollMs, Math.max(0, endsAt - performance.now())), signal)
    }
  } finally {
    stop.abort()
  }
}

/** Null when no controller could be reached now: the operation goes on without us, and so does the wait. */
async function readOperation(
  source: WaitSource,
  id: string,
  signal: AbortSignal,
  leftMs: number,
): Promise<Operation | null> {
  try {
    return await source.operation(id, { signal, deadlineMs: leftMs })
  } catch (error) {
    if (!signal.aborted && error instanceof DroverError && error.retryable) return null
    throw error
  }
}

async function ringOnChanges(source: WaitSource, id: string, signal: AbortSignal, bell: Bell): Promise<void> {
  try {
    for await (const event of source.changes(id, signal)) if (isWorthAsking(event, id)) bell.ring()
  } catch {
    // Polling goes on; whatever is really wrong shows there.
  }
}

/** Whoever empties a host would be asked for the whole plan at each phase of each move: that it goes on shows at the next poll. */
const isWorthAsking = ({ kind, operation }: Pick<ClusterEvent, 'kind' | 'operation'>, id: string): boolean =>
  operation === id && kind !== 'operation.progress'

function sameState(left: Operation | null, right: Operation): boolean {
  return left !== null && JSON.stringify(left) === JSON.stringify(right)
}

function deadlinePassed(id: string, seen: Operation | null, deadlineMs: number): DroverError {
  const what = seen ? `${seen.kind} ${seen.target}` : `operation ${id}`
  const where = seen ? `, last in phase ${seen.phase}` : ''
  return new DroverError('TIMED_OUT', `wait for ${what}: not ended after ${deadlineMs} ms${where}; it goes on`, {
    retryable: true,
    context: { operation: id, deadlineMs },
  })
}

/** Wakes one waiter; a ring between two waits is not lost. */
class Bell {
  #rung = false
  #wake: (() => void) | null = null

  reset() {
    this.#rung = false
  }

  ring() {
    this.#rung = true
    this.#wake?.()
  }

  wait(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      let timer = setTimeout(end, ms)
      const abort = () => finish(() => reject(signal.reason))
      const finish = (settle: () => void) => {
        clearTimeout(timer)
        this.#wake = null
        signal.removeEventListener('abort', abort)
        settle()
      }
      function end() {
        finish(resolve)
      }
      this.#wake = () => {
        clearTimeout(timer)
        timer = setTimeout(end, coalesceMs)
      }
      signal.addEventListener('abort', abort, { once: true })
      if (this.#rung) this.#wake()
    })
  }
}

// How long to wait before the next try: doubling with jitter, so that many clients don't come back in step.

/** First wait; short, because a leader is usually there again at once. */
const firstWaitMs = 50
/** A fail-over takes about a second: waiting longer between tries would only add to it. */
const longestWaitMs = 1000

export function backoffMs(tries: number, random: () => number = Math.random): number {
  const ceiling = Math.min(longestWaitMs, firstWaitMs * 2 ** Math.min(tries, 10))
  return ceiling / 2 + random() * (ceiling / 2)
}

/** Resolves after `ms`; rejects with the signal's reason when aborted. */
export function pause(ms: number, signal: AbortSignal | null): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const end = () => {
      signal?.removeEventListener('abort', abort)
      resolve()
    }
    const timer = setTimeout(end, ms)
    const abort = () => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    signal?.addEventListener('abort', abort, { once: true })
  })
}

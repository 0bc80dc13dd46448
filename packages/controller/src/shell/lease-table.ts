// When this leader last answered each host: what a host may run under its lease ends so long after that. Counted by a clock that
// doesn't jump, and only while we could have answered: not before we led, not while the bus was away, not while this process stood still.

import type { Leases } from '../core/planner-heal.ts'

/** Between two looks at the clock; after a longer gap nobody was listening. */
const longestGapMs = 3_000

export class LeaseTable implements Leases {
  readonly #clock: () => number
  readonly #answered = new Map<string, number>()
  #sinceMs: number | null = null
  #seenMs: number

  constructor(clock: () => number = () => performance.now()) {
    this.#clock = clock
    this.#seenMs = clock()
  }

  /** A pull came; to be called before it is made sure that we lead, and before the answer is made. */
  asked(host: string): void {
    this.#answered.set(host, this.#clock())
  }

  /** From now on pulls are answered here; false: they are not. */
  listening(here: boolean): void {
    this.#sinceMs = here ? this.#clock() : null
    this.#seenMs = this.#clock()
  }

  /** Now and then, so that standing still is noticed. */
  tick(): void {
    const nowMs = this.#clock()
    if (nowMs - this.#seenMs > longestGapMs && this.#sinceMs !== null) this.#sinceMs = nowMs
    this.#seenMs = nowMs
  }

  unansweredMs(host: string): number | null {
    if (this.#sinceMs === null) return null
    return this.#clock() - Math.max(this.#sinceMs, this.#answered.get(host) ?? 0)
  }
}

// A bandwidth limit that several connections share. Each pays for what it has sent, and waits until the link would have carried it;
// whoever has had the least is served first, so that every connection gets the same share whatever the size of its pieces
// (start-time fair queueing, Goyal et al. 1996). A connection pays for one piece at a time: the queue is as long as there are connections.

/** A link may catch up with what it was idle for so long: timers fire by the millisecond, pieces come faster. */
const burstMs = 20
/** What a flow may have had less than the others and get back: between two pieces it isn't in line for a moment. Newcomers get no more either. */
const creditBytes = 1 << 20

interface Waiting {
  flow: Flow
  bytes: number
  resolve: () => void
}

export class Pace {
  readonly #now: () => number
  #bytesPerMs: number | null = null
  #waiting: Waiting[] = []
  #freeAtMs = 0
  /** The most that a flow had had when it was served. */
  #served = 0
  #timer: NodeJS.Timeout | null = null

  constructor(bytesPerS: number | null = null, now: () => number = () => performance.now()) {
    this.#now = now
    this.limit(bytesPerS)
  }

  /** null: as fast as it goes; whoever waits goes on. */
  limit(bytesPerS: number | null): void {
    this.#bytesPerMs = bytesPerS === null ? null : bytesPerS / 1000
    this.#serve()
  }

  get limited(): boolean {
    return this.#bytesPerMs !== null
  }

  flow(): Flow {
    return new Flow(this)
  }

  /** Of a flow; resolves when these bytes have had their time. */
  pay(flow: Flow, bytes: number): Promise<void> {
    if (this.#bytesPerMs === null) return Promise.resolve()
    return new Promise((resolve) => {
      this.#waiting.push({ flow, bytes, resolve })
      this.#serve()
    })
  }

  #serve(): void {
    const now = this.#now()
    while (this.#waiting.length > 0 && (this.#bytesPerMs === null || this.#freeAtMs <= now)) {
      const { flow, bytes, resolve } = this.#next()
      if (this.#bytesPerMs !== null) {
        const from = Math.max(flow.served, this.#served - creditBytes)
        this.#served = Math.max(this.#served, from)
        flow.served = from + bytes
        this.#freeAtMs = Math.max(this.#freeAtMs, now - burstMs) + bytes / this.#bytesPerMs
      }
      resolve()
    }
    if (this.#waiting.length === 0 || this.#timer) return
    this.#timer = setTimeout(
      () => {
        this.#timer = null
        this.#serve()
      },
      Math.max(1, Math.ceil(this.#freeAtMs - now)),
    )
  }

  #next(): Waiting {
    let first = 0
    for (let index = 1; index < this.#waiting.length; index++) {
      if ((this.#waiting[index] as Waiting).flow.served < (this.#waiting[first] as Waiting).flow.served) first = index
    }
    return this.#waiting.splice(first, 1)[0] as Waiting
  }
}

export class Flow {
  readonly #pace: Pace
  /** Bytes that it has had, as the pace counts them. */
  served = 0

  constructor(pace: Pace) {
    this.#pace = pace
  }

  pay(bytes: number): Promise<void> {
    return this.#pace.pay(this, bytes)
  }
}

// The last events, and who listens to them. Every controller has the same events, since they come from applying the log; a
// client that reconnects, to whichever, goes on after the last one that it saw.

import type { ClusterEvent } from '@drover/protocol'

/** Enough for a client that was away for seconds; one that was away for longer reads the resources again. */
export const keptEvents = 1_000

export class EventHub {
  #ring: ClusterEvent[] = []
  readonly #listeners = new Set<(events: readonly ClusterEvent[]) => void>()

  /** The events of one entry, together: they share its index. */
  add(events: readonly ClusterEvent[]): void {
    if (events.length === 0) return
    this.#ring.push(...events)
    // Cut rarely: an array is moved as a whole.
    if (this.#ring.length > 2 * keptEvents) this.#ring = this.#ring.slice(-keptEvents)
    for (const listener of this.#listeners) listener(events)
  }

  after(id: number): ClusterEvent[] {
    return this.#ring.slice(-keptEvents).filter((event) => event.id > id)
  }

  listen(listener: (events: readonly ClusterEvent[]) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  get listeners(): number {
    return this.#listeners.size
  }
}

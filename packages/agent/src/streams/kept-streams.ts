// Connections to other agents between two moves. A host that is emptied begins a move to the same host moments after the last, and to connect, even with
// a TLS session to resume, costs both sides more than a millisecond each. One is kept only when the other side has said that it waits for the next hello
// there; it checks that as it does a new connection's. Kept for moments, since nobody notices meanwhile that the other host is gone.

import type { Peer } from '@drover/protocol'
import type { StreamConnection } from './stream-connection.ts'

/** Less than the other side waits for a hello. */
const usualKeptForMs = 2_000
/** When the move is over on this side, the other one is about to say that it may be kept, or never will. */
const freeWithinMs = 5_000
/** The controller's own deadlines end a move long before; this is only so that nothing waits for ever. */
const undecidedMs = 15 * 60_000
/** Of one peer; no more moves go on at once. */
const mostOfPeer = 16

export class KeptStreams {
  readonly #kept = new Map<string, Set<StreamConnection>>()
  readonly #inUse = new Set<StreamConnection>()
  readonly #keptForMs: number
  #closed = false

  constructor(keptForMs = usualKeptForMs) {
    this.#keptForMs = keptForMs
  }

  /** One that the peer waits at, trusted; null: there is none. */
  take(peer: Peer): StreamConnection | null {
    const [connection] = this.#of(peer)
    if (connection) this.#of(peer).delete(connection)
    return connection ?? null
  }

  /** Everything was sent: it is kept for the next stream when the peer says that it may be. */
  async keepWhenFree(peer: Peer, connection: StreamConnection): Promise<void> {
    this.#inUse.add(connection)
    try {
      const { kind } = await connection.receiveMessage(undecidedMs)
      const next = kind === 'free' ? connection.renew() : null
      if (next) this.#keep(peer, next)
      else connection.destroy()
    } catch {
      connection.destroy()
    } finally {
      this.#inUse.delete(connection)
    }
  }

  /** What it was for is over here; one that has become another stream's is left alone. */
  endUnlessFreed(connection: StreamConnection): void {
    setTimeout(() => connection.destroy(), freeWithinMs).unref()
  }

  close(): void {
    this.#closed = true
    for (const connections of [this.#inUse, ...this.#kept.values()]) for (const each of connections) each.destroy()
  }

  #keep(peer: Peer, connection: StreamConnection): void {
    const others = this.#of(peer)
    if (this.#closed || others.size >= mostOfPeer) {
      connection.destroy()
      return
    }
    connection.trust()
    others.add(connection)
    connection.onClose(() => others.delete(connection))
    setTimeout(() => {
      if (others.delete(connection)) connection.destroy()
    }, this.#keptForMs).unref()
  }

  #of({ address, streamPort }: Peer): Set<StreamConnection> {
    const name = `${address}:${streamPort}`
    const known = this.#kept.get(name) ?? new Set()
    this.#kept.set(name, known)
    return known
  }
}

// The migration sessions of this process, by operation.

import type { Side } from '../reconcile.ts'
import { MigrationSession, type SessionStep } from './session.ts'

/** A session is reported for at least this long after its last step, whoever speaks of it. */
const rememberMs = 30_000
/** So many may wait for the session of their operation; there are no more connections. */
const maxWaiting = 64
/** For so long after the last step of a move what else is said of its container has time. */
const justMovedMs = 1_000
/** More ended ones than this are forgotten, oldest first. */
const maxEnded = 256

export class MigrationSessions {
  #sessions = new Map<string, MigrationSession>()
  readonly #changed: (container: string, step: SessionStep) => void
  readonly #waiting = new Map<() => void, string>()

  constructor(changed: (container: string, step: SessionStep) => void) {
    this.#changed = changed
  }

  get(operation: string): MigrationSession | null {
    return this.#sessions.get(operation) ?? null
  }

  open(operation: string, container: string, side: Side): MigrationSession {
    const session: MigrationSession = new MigrationSession(operation, container, side, () => {
      for (const [wake, awaited] of this.#waiting) if (awaited === operation) wake()
      this.#changed(container, session.step)
    })
    this.#sessions.set(operation, session)
    return session
  }

  /** Resolves when the session of `operation` has come to its first step, at once if it has, and after `withinMs` however that is. */
  untilPrepared(operation: string, withinMs: number): Promise<void> {
    const step = this.get(operation)?.step ?? 'preparing'
    if (step !== 'preparing' || this.#waiting.size >= maxWaiting) return Promise.resolve()
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer)
        this.#waiting.delete(wake)
        resolve()
      }
      const timer = setTimeout(wake, withinMs).unref()
      this.#waiting.set(wake, operation)
    })
  }

  ofContainer(container: string): MigrationSession[] {
    return [...this.#sessions.values()].filter((session) => session.container === container)
  }

  /** Closes what a container's sessions hold, except the session of `operation`. */
  closeOthers(container: string, operation: string | null): void {
    for (const session of this.ofContainer(container)) {
      if (session.operation !== operation && !session.signal.aborted) void session.close()
    }
  }

  /** How many have not come to their end. */
  get underWay(): number {
    let count = 0
    for (const session of this.#sessions.values()) if (!session.ended) count += 1
    return count
  }

  /** Its last step here was a moment ago, and was told. */
  hasJustMoved(container: string): boolean {
    const sinceMs = performance.now() - justMovedMs
    for (const session of this.#sessions.values())
      if (session.container === container && session.ended && session.changedAtMs > sinceMs) return true
    return false
  }

  all(): MigrationSession[] {
    return [...this.#sessions.values()]
  }

  /** Closes and forgets sessions that no assignment speaks of any more, those too that nobody told how their move ended. */
  prune(current: ReadonlySet<string>): void {
    const now = performance.now()
    let surplus = this.#sessions.size - maxEnded
    for (const [operation, session] of this.#sessions) {
      if (current.has(operation)) continue
      const over = session.ended || session.closed
      if (now - session.changedAtMs > rememberMs || (over && surplus-- > 0)) {
        void session.close()
        this.#sessions.delete(operation)
      }
    }
  }

  async closeAll(): Promise<void> {
    await Promise.all([...this.#sessions.values()].map((session) => session.close()))
  }
}

// Remembers the restarts of containers whose inits end by themselves, and wakes the reconciler when one is due.

import type { EngineContainer } from '@drover/engine'
import type { Assignment } from '@drover/protocol'
import { planRestart, type RestartHistory } from './reconcile/restart-policy.ts'

export class RestartKeeper {
  readonly #wake: (container: string) => void
  #histories = new Map<string, RestartHistory>()
  #timers = new Map<string, NodeJS.Timeout>()

  constructor(wake: (container: string) => void) {
    this.#wake = wake
  }

  /** The restart that is planned for it, if one is; asking again changes nothing. */
  look(container: EngineContainer, assignment: Assignment, ranUnder: number | null): RestartHistory | null {
    const id = container.container
    const history = this.#histories.get(id) ?? null
    const planned = planRestart(container, assignment, ranUnder, history, Date.now())
    if (!planned) {
      // Nobody wants it to run: then what was is forgotten.
      if (assignment.desired !== 'running') this.forget(id)
      return null
    }
    if (planned !== history) {
      this.#histories.set(id, planned)
      clearTimeout(this.#timers.get(id))
      const timer = setTimeout(() => this.#wake(id), Math.max(0, planned.dueMs - Date.now()))
      timer.unref()
      this.#timers.set(id, timer)
    }
    return planned
  }

  forget(container: string): void {
    clearTimeout(this.#timers.get(container))
    this.#timers.delete(container)
    this.#histories.delete(container)
  }

  close(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer)
  }
}

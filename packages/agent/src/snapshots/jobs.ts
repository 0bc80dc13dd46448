// The snapshots, restores and copies of this process: what came of each is reported for as long as it is assigned. After a restart of the
// agent nothing is known, and what is still assigned is done again.

import { DroverError, type MigrationFigures, type SnapshotResult } from '@drover/protocol'
import { Scope } from './scope.ts'

export interface Outcome {
  sizeBytes: number
  figures: MigrationFigures
}

/** They read and write whole disks: more at once only takes longer. */
const maxAtOnce = 2
/** Results that nobody asks for any more, at most. */
const maxResults = 512

export class SnapshotJobs {
  readonly #results = new Map<string, SnapshotResult>()
  readonly #running = new Map<string, { container: string; scope: Scope }>()
  readonly #held = new Map<string, number>()
  #atWork = 0
  #waiting: (() => void)[] = []

  ended(operation: string): boolean {
    return this.#results.has(operation)
  }

  succeeded(operation: string): boolean {
    return this.#results.get(operation)?.state === 'done'
  }

  report(): SnapshotResult[] {
    return [...this.#results.values()]
  }

  /** Runs it when it is its turn and remembers what came of it. Never throws. */
  async run(operation: string, container: string, work: (scope: Scope) => Promise<Outcome>): Promise<SnapshotResult> {
    const scope = new Scope()
    this.#running.set(operation, { container, scope })
    let result: SnapshotResult
    try {
      const outcome = await this.inTurn(() => {
        scope.signal.throwIfAborted()
        return work(scope)
      })
      result = { operation, state: 'done', ...outcome, error: null }
    } catch (thrown) {
      const { code, message } = DroverError.from(thrown)
      result = { operation, state: 'failed', sizeBytes: 0, figures: {}, error: { code, message } }
    } finally {
      this.#running.delete(operation)
      await scope.close()
    }
    this.#results.set(operation, result)
    return result
  }

  async inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#atWork >= maxAtOnce) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    else this.#atWork++
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#atWork--
    }
  }

  /** Ends what is under way for the container, but for the operation that is wanted. */
  cancelOthers(container: string, wanted: string | undefined): void {
    for (const [operation, job] of this.#running) {
      if (job.container === container && operation !== wanted) void job.scope.close()
    }
  }

  /** While `work` runs, nobody thaws the container. */
  async hold<Result>(container: string, work: () => Promise<Result>): Promise<Result> {
    this.#held.set(container, (this.#held.get(container) ?? 0) + 1)
    try {
      return await work()
    } finally {
      const left = (this.#held.get(container) ?? 1) - 1
      if (left > 0) this.#held.set(container, left)
      else this.#held.delete(container)
    }
  }

  held(container: string): boolean {
    return this.#held.has(container)
  }

  /** Forgets what no assignment speaks of, the oldest first. */
  prune(current: ReadonlySet<string>): void {
    for (const operation of this.#results.keys()) {
      if (this.#results.size <= maxResults) return
      if (!current.has(operation)) this.#results.delete(operation)
    }
  }

  async closeAll(): Promise<void> {
    await Promise.all([...this.#running.values()].map(({ scope }) => scope.close()))
  }
}

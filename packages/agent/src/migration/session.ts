// One side of one migration while this process lives: how far it has come, what went wrong, what was measured, and what must be undone.
// It holds facts and resources; what to do next is decided in reconcile.ts. A session that ended is remembered until nobody asks.

import { DroverError, type MigrationFigures, type MigrationStep } from '@drover/protocol'
import type { Side } from '../reconcile.ts'

export type SessionStep = MigrationStep['step']

/** One for all: each would note where it was made, and nobody asks. */
const closing = new DroverError('CANCELLED', 'the migration ended')

export class MigrationSession {
  readonly operation: string
  readonly container: string
  readonly side: Side
  step: SessionStep = 'preparing'
  /** Of the source: it is prepared, and goes on without saying so. */
  precopiesAtOnce = false
  /** Of the source: what is written to its disk from now on may not get there. */
  switches = false
  error: { code: string; message: string } | null = null
  figures: MigrationFigures = {}
  /** When it came to its last step, by the monotonic clock. */
  changedAtMs = performance.now()
  readonly #abort = new AbortController()
  readonly #changed: () => void
  #undo: { undo: () => unknown; ofContainer: boolean }[] = []

  constructor(operation: string, container: string, side: Side, changed: () => void) {
    this.operation = operation
    this.container = container
    this.side = side
    this.#changed = changed
  }

  /** Aborted when the session is closed or has failed: whatever works for it stops. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  get closed(): boolean {
    return this.#abort.signal.aborted
  }

  /** Whether it has failed or come to its last step. */
  get ended(): boolean {
    return this.step === 'failed' || this.step === 'released' || this.step === 'cleaned'
  }

  advance(step: SessionStep): void {
    if (this.step === step) return
    this.step = step
    // To microseconds: every controller reads, keeps and writes all digits.
    for (const [key, value] of Object.entries(this.figures)) this.figures[key] = Math.round(value * 1000) / 1000
    this.changedAtMs = performance.now()
    this.#changed()
  }

  /** The side can't go on. Does nothing when it had failed or was closed before, or its part was complete. */
  fail(thrown: unknown): void {
    if (this.ended || this.step === 'restored' || this.signal.aborted) return
    const { code, message } = DroverError.from(thrown)
    this.error = { code, message }
    this.advance('failed')
    void this.close()
  }

  /**
   * Registers what must happen when the session closes, whichever way; the last one registered runs first. `ofContainer`: the engine does it by
   * itself when it deletes the container.
   */
  defer(undo: () => unknown, { ofContainer = false } = {}): void {
    if (this.signal.aborted) void undo()
    else this.#undo.push({ undo, ofContainer })
  }

  /** Releases everything: connections, processes, checkpoint files. Idempotent. `containerGoes`: the engine is about to delete it. */
  async close({ containerGoes = false } = {}): Promise<void> {
    this.#abort.abort(closing)
    for (const { undo, ofContainer } of this.#undo.splice(0).reverse()) {
      if (ofContainer && containerGoes) continue
      try {
        await undo()
      } catch {
        // What can't be removed now is removed when the agent starts again.
      }
    }
  }

  report(withFigures = true): MigrationStep {
    const { operation, container, side, step, error, figures } = this
    return { operation, container, side, step, error, figures: withFigures || !this.ended ? figures : {} }
  }
}

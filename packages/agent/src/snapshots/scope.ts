// What one snapshot, restore or copy under way holds: processes, connections, half-made trees. Closing it ends them, whichever way.

export class Scope {
  readonly #abort = new AbortController()
  #undo: (() => unknown)[] = []

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** The last one registered runs first. */
  defer(undo: () => unknown): void {
    if (this.signal.aborted) void undo()
    else this.#undo.push(undo)
  }

  async close(): Promise<void> {
    this.#abort.abort()
    for (const undo of this.#undo.splice(0).reverse()) {
      try {
        await undo()
      } catch {
        // What can't be removed now is removed before the next attempt.
      }
    }
  }
}

// Of which moves the source has said that its dump had succeeded. A destination restores while the dump is ending, so that something is restored
// doesn't mean that the source stands still: an agent that was restarted in between has to know. Kept beside the checkpoints, as files:
// where that is a tmpfs they go with the machine, and so do the restored processes.

import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export class SwitchedNotes {
  readonly #directory: string
  readonly #operations: Set<string>

  /** `checkpointRoot`: the agent's own (checkpoint-directory.ts). */
  constructor(checkpointRoot: string) {
    this.#directory = `${checkpointRoot}-switched`
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 })
    this.#operations = new Set(readdirSync(this.#directory))
  }

  has(operation: string): boolean {
    return this.#operations.has(operation)
  }

  /** Written when it returns; throws when it can't be. `operation`: one that a checkpoint's directory is named by. */
  add(operation: string): void {
    writeFileSync(join(this.#directory, operation), '', { mode: 0o600 })
    this.#operations.add(operation)
  }

  /** Forgets all others. */
  prune(current: ReadonlySet<string>): void {
    for (const operation of this.#operations) {
      if (current.has(operation)) continue
      rmSync(join(this.#directory, operation), { force: true })
      this.#operations.delete(operation)
    }
  }
}

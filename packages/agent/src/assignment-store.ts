// The assignments of this host, kept on disk, one small JSON file per container, each written before anything is done about it:
// a restarted agent goes on without a controller, and a late, older message can't make it thaw or release a container that a
// newer one has forbidden to run. Files are replaced by rename; a file that can't be read counts as unknown (the next pull brings it).

import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Assignment, type AssignmentBatch } from '@drover/protocol'
import { Compile } from 'typebox/compile'

interface Stored {
  assignment: Assignment
  ranUnder: number | null
}

export interface BatchEffect {
  /** Containers whose assignment changed, came or went. */
  changed: string[]
  /** Why the whole batch was dropped, if it was. */
  dropped: string | null
}

const validator = Compile(Assignment)
const containerPattern = /^[a-z0-9-]{1,32}$/

export class AssignmentStore {
  readonly #directory: string
  readonly #warn: (message: string) => void
  #stored = new Map<string, Stored>()
  #term = 0
  #index = 0
  #complete = false
  /** Listed by the controller, but they could not be written down: they are not taken up, and not removed either. */
  #refused = new Set<string>()
  #positionPending = false

  constructor(dataDirectory: string, warn: (message: string) => void = () => {}) {
    this.#warn = warn
    this.#directory = join(dataDirectory, 'assignments')
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 })
    this.#load()
  }

  get(container: string): Assignment | null {
    return this.#stored.get(container)?.assignment ?? null
  }

  ranUnder(container: string): number | null {
    return this.#stored.get(container)?.ranUnder ?? null
  }

  all(): Assignment[] {
    return [...this.#stored.values()].map((stored) => stored.assignment)
  }

  /** Whether the controller has said, to this process, all that this host has, and `container` is not in it. */
  isUnlisted(container: string): boolean {
    return this.#complete && !this.#stored.has(container) && !this.#refused.has(container)
  }

  apply(batch: AssignmentBatch): BatchEffect {
    if (batch.term < this.#term) return dropped(`term ${batch.term} is older than ${this.#term}`)
    if (batch.complete && batch.index < this.#index) return dropped(`index ${batch.index} is older than ${this.#index}`)
    const changed: string[] = []
    for (const assignment of batch.assignments) {
      if (!containerPattern.test(assignment.container)) continue
      const before = this.#stored.get(assignment.container)
      if (before && before.assignment.revision >= assignment.revision) continue
      if (this.#accept({ assignment, ranUnder: before?.ranUnder ?? null })) changed.push(assignment.container)
    }
    if (batch.complete) changed.push(...this.#removeUnlisted(batch))
    this.#remember(batch)
    return { changed, dropped: null }
  }

  /** It was seen running under its present assignment. */
  noteRunning(container: string): void {
    const stored = this.#stored.get(container)
    if (!stored || stored.ranUnder === stored.assignment.revision) return
    this.#write({ ...stored, ranUnder: stored.assignment.revision })
  }

  #removeUnlisted(batch: AssignmentBatch): string[] {
    const listed = new Set(batch.assignments.map((assignment) => assignment.container))
    const removed: string[] = []
    for (const [container, { assignment }] of this.#stored) {
      // One that was pushed after this batch was made is not missing from it.
      if (listed.has(container) || assignment.revision > batch.index) continue
      this.#stored.delete(container)
      rmSync(this.#path(container), { force: true })
      removed.push(container)
    }
    return removed
  }

  #remember(batch: AssignmentBatch): void {
    this.#complete ||= batch.complete
    if (batch.term === this.#term && batch.index <= this.#index) return
    this.#term = batch.term
    this.#index = Math.max(this.#index, batch.index)
    if (this.#positionPending) return
    this.#positionPending = true
    setImmediate(() => {
      this.#positionPending = false
      this.#replace(join(this.#directory, 'position.json'), { term: this.#term, index: this.#index })
    })
  }

  /**
   * On disk first, then acted on: except the outcome of a move, for which a frozen container waits. Losing that by a crash is safe, since
   * what is on disk then forbids to guess, and the next pull brings it again; so it is written right after it was acted on.
   */
  #accept(stored: Stored): boolean {
    const phase = stored.assignment.migration?.phase
    if (phase !== 'committed' && phase !== 'aborted') {
      return this.#write(stored)
    }
    const { container } = stored.assignment
    this.#stored.set(container, stored)
    setImmediate(() => {
      const now = this.#stored.get(container)
      if (now?.assignment === stored.assignment) this.#replace(this.#path(container), now)
    })
    return true
  }

  /** What can't be kept is not taken up: nothing is done that a restart would forget. */
  #write(stored: Stored): boolean {
    const { container } = stored.assignment
    if (!this.#replace(this.#path(container), stored)) {
      this.#refused.add(container)
      return false
    }
    this.#refused.delete(container)
    this.#stored.set(container, stored)
    return true
  }

  #path(container: string): string {
    return join(this.#directory, `container-${container}.json`)
  }

  #replace(path: string, value: unknown): boolean {
    try {
      writeFileSync(`${path}.new`, JSON.stringify(value), { mode: 0o600 })
      renameSync(`${path}.new`, path)
      return true
    } catch (error) {
      this.#warn(`write ${path}: ${(error as Error).message}`)
      return false
    }
  }

  #load(): void {
    for (const file of readdirSync(this.#directory)) {
      const value = readJson(join(this.#directory, file))
      if (file === 'position.json') {
        const position = value as { term?: unknown; index?: unknown } | null
        if (typeof position?.term === 'number') this.#term = position.term
        if (typeof position?.index === 'number') this.#index = position.index
      } else if (file.startsWith('container-') && file.endsWith('.json')) {
        const stored = value as Partial<Stored> | null
        if (!validator.Check(stored?.assignment)) continue
        const ranUnder = typeof stored?.ranUnder === 'number' ? stored.ranUnder : null
        this.#stored.set(stored.assignment.container, { assignment: stored.assignment, ranUnder })
      }
    }
  }
}

function dropped(reason: string): BatchEffect {
  return { changed: [], dropped: reason }
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return null
  }
}

// The assignments of this host, kept on disk, each written before anything is done about it: a restarted agent goes on without a
// controller, and a late, older message can't make it thaw or release a container that a newer one has forbidden to run. What can't
// be read counts as unknown (the next pull brings it).

import { join } from 'node:path'
import { Assignment, type AssignmentBatch } from '@drover/protocol'
import { Compile } from '@drover/schema'
import { AssignmentJournal } from './assignment-journal.ts'

interface Stored {
  assignment: Assignment
  ranUnder: number | null
}

/** A line of the journal; later ones count. */
type Line = Stored | { removed: string } | { term: number; index: number }

export interface BatchEffect {
  /** Containers whose assignment changed, came or went. */
  changed: string[]
  /** Why the whole batch was dropped, if it was. */
  dropped: string | null
}

const validator = Compile(Assignment)
const containerPattern = /^[a-z0-9-]{1,32}$/

export class AssignmentStore {
  readonly #journal: AssignmentJournal
  #stored = new Map<string, Stored>()
  #term = 0
  #index = 0
  #complete = false
  /** Revisions of those that the controller listed and that could not be written down: they are not taken up, and not removed either. */
  #refused = new Map<string, number>()
  #positionPending = false
  #compacting = false

  constructor(dataDirectory: string, warn: (message: string) => void = () => {}) {
    this.#journal = new AssignmentJournal(join(dataDirectory, 'assignments', 'journal'), warn)
    this.#load()
  }

  get(container: string): Assignment | null {
    return this.#stored.get(container)?.assignment ?? null
  }

  close(): void {
    this.#journal.close()
  }

  ranUnder(container: string): number | null {
    return this.#stored.get(container)?.ranUnder ?? null
  }

  all(): Assignment[] {
    return [...this.#stored.values()].map((stored) => stored.assignment)
  }

  /** Whether a controller has said, to this process, all that this host has. */
  get isComplete(): boolean {
    return this.#complete
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
    for (const [container, revision] of this.#refused) {
      if (listed.has(container) || revision > batch.index) continue
      this.#refused.delete(container)
      if (!this.#stored.has(container)) removed.push(container)
    }
    for (const [container, { assignment }] of this.#stored) {
      // One that was pushed after this batch was made is not missing from it.
      if (listed.has(container) || assignment.revision > batch.index) continue
      this.#stored.delete(container)
      this.#append({ removed: container })
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
      this.#append({ term: this.#term, index: this.#index })
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
      if (now?.assignment === stored.assignment) this.#append(now)
    })
    return true
  }

  /** What can't be kept is not taken up: nothing is done that a restart would forget. */
  #write(stored: Stored): boolean {
    const { container, revision } = stored.assignment
    if (!this.#append(stored)) {
      this.#refused.set(container, revision)
      return false
    }
    this.#refused.delete(container)
    this.#stored.set(container, stored)
    return true
  }

  #append(line: Line): boolean {
    const written = this.#journal.append(line)
    if (this.#journal.overgrown && !this.#compacting) {
      this.#compacting = true
      setImmediate(() => this.#compact())
    }
    return written
  }

  #compact(): void {
    this.#compacting = false
    this.#journal.replace([...this.#stored.values(), { term: this.#term, index: this.#index }])
  }

  #load(): void {
    for (const value of this.#journal.read()) {
      const line = value as Partial<Stored & { removed: string; term: number; index: number }> | null
      if (typeof line?.removed === 'string') this.#stored.delete(line.removed)
      else if (typeof line?.term === 'number' && typeof line.index === 'number') {
        this.#term = line.term
        this.#index = line.index
      } else if (validator.Check(line?.assignment)) {
        const ranUnder = typeof line.ranUnder === 'number' ? line.ranUnder : null
        this.#stored.set(line.assignment.container, { assignment: line.assignment, ranUnder })
      }
    }
    this.#compact()
  }
}

function dropped(reason: string): BatchEffect {
  return { changed: [], dropped: reason }
}

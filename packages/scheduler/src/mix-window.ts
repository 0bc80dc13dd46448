// The sizes of the last demands, as packing by holes wants them: what came of late is the best guess at what comes next. The
// tables are made anew only now and then, because the mix changes slowly and a table costs milliseconds.

import { type FillTables, fillTables, type MixEntry, mixOf } from './fill.ts'
import type { Demand } from './snapshot.ts'

/** Enough that a size of one in two hundred is seen about ten times. */
const windowSize = 2000
/** Demands between two tables; also how many must have come before the first. */
const refreshEvery = 500

export class MixWindow {
  readonly #recent: Pick<Demand, 'requests'>[] = []
  #next = 0
  #seen = 0

  /** Counts a demand, placed or not; true when it's time to take `tables` anew. */
  add(demand: Pick<Demand, 'requests'>): boolean {
    this.#recent[this.#next] = { requests: demand.requests }
    this.#next = (this.#next + 1) % windowSize
    this.#seen += 1
    return this.#seen % refreshEvery === 0
  }

  mix(): MixEntry[] {
    return mixOf(this.#recent)
  }

  tables(): FillTables {
    return fillTables(this.mix())
  }
}

// What a row of the compatibility matrix is, and what became of it.

/**
 * moves: nothing inside or outside may notice. refused: the move must say no in these words, and leave it undisturbed. lost: it moves,
 * but this object does not come along; a known weakness.
 */
export type Expectation = { kind: 'moves' } | { kind: 'refused'; reason: RegExp } | { kind: 'lost'; reason: RegExp }

export interface Row {
  name: string
  what: string
  group: 'object' | 'workload'
  expected: Expectation
  /** Known weakness, told in the table. */
  note: string
}

export type Outcome = 'moves' | 'refused' | 'lost' | 'absent' | 'fails'

export interface RowResult {
  name: string
  what: string
  group: Row['group']
  note: string
  outcome: Outcome
  /** Whether this is what was expected. */
  good: boolean
  /** a→b→c→a is one. */
  rounds: number
  moves: number
  failures: number
  /** First reason of a failure, refusal or absence. */
  reason: string
}

/** Counts what happens to one row while its container goes round. */
export class RowTally {
  readonly row: Row
  moves = 0
  refusals = 0
  failures = 0
  absent = ''
  reason = ''

  constructor(row: Row) {
    this.row = row
  }

  fail(reason: string): void {
    this.failures++
    if (this.failures === 1) this.reason = reason
  }

  refuse(reason: string): void {
    this.refusals++
    if (this.reason === '') this.reason = reason
  }

  result(): RowResult {
    const { name, what, group, note, expected } = this.row
    const outcome = this.#outcome()
    return {
      name,
      what,
      group,
      note,
      outcome,
      good: outcome === 'absent' || outcome === expected.kind,
      rounds: Math.floor(this.moves / 3),
      moves: this.moves,
      failures: this.failures,
      reason: this.absent || this.reason,
    }
  }

  #outcome(): Outcome {
    if (this.absent !== '') return 'absent'
    const { expected } = this.row
    if (expected.kind === 'lost' && this.failures > 0 && expected.reason.test(this.reason)) return 'lost'
    if (this.failures > 0) return 'fails'
    return this.refusals > 0 ? 'refused' : 'moves'
  }
}

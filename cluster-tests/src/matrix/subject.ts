// A container under test: how it is made, asked from inside and watched from outside. What becomes of each row is its answer.

import type { RowTally } from './row.ts'

export interface Subject {
  /** Name of the container. */
  name: string
  tallies: RowTally[]
  /** Sets all rows up; those that can't be had here are marked absent. */
  prepare(): Promise<void>
  /** Asks every row, from inside and from outside; complaints by row name. */
  check(): Promise<Map<string, string>>
  /** Asks once more after the last move, what only then can be asked. */
  finish?(): Promise<Map<string, string>>
  close(): void
}

// The compatibility matrix: all rows, in as few containers as show the same; what fails together is tried again alone.

import type { DroverClient } from '@drover/client'
import type { Lab } from '@drover/testkit/lab'
import { goRound, type RoundOptions } from './go-round.ts'
import { ProbeSubject } from './probe-subject.ts'
import type { Row, RowResult } from './row.ts'

/** Probes that share a container; more would make its moves slow, fewer the matrix. */
const rowsPerContainer = 16

export interface MatrixOptions extends RoundOptions {
  /** Each row in a container of its own from the start. */
  alone: boolean
}

export async function runMatrix(
  lab: Lab,
  client: DroverClient,
  rows: Row[],
  options: MatrixOptions,
): Promise<RowResult[]> {
  const results: RowResult[] = []
  const batches = options.alone ? rows.map((row) => [row]) : batchesOf(rows)
  let serial = 0
  while (batches.length > 0) {
    const batch = batches.shift() as Row[]
    serial++
    const subject = new ProbeSubject(lab, client, `matrix-${serial}`, batch)
    const suspects = await goRound(lab, client, subject, options)
    if (suspects) {
      options.onProgress(`${batch.length} rows are tried one by one`)
      batches.unshift(...batch.map((row) => [row]))
      continue
    }
    for (const tally of subject.tallies) {
      const result = tally.result()
      results.push(result)
      options.onProgress(
        `${result.good ? '✓' : '✗'} ${result.name}: ${result.outcome}, ${result.moves} moves, ${result.failures} failures${result.reason ? `: ${result.reason}` : ''}`,
      )
    }
  }
  return results.sort((left, right) => order(rows, left) - order(rows, right))
}

/** What must be refused stops its whole container, so it has one of its own. */
function batchesOf(rows: Row[]): Row[][] {
  const moving = rows.filter(({ expected }) => expected.kind !== 'refused')
  const batches: Row[][] = []
  for (let at = 0; at < moving.length; at += rowsPerContainer) batches.push(moving.slice(at, at + rowsPerContainer))
  return [...batches, ...rows.filter((row) => row.expected.kind === 'refused').map((row) => [row])]
}

const order = (rows: Row[], { name }: RowResult): number => rows.findIndex((row) => row.name === name)

// The compatibility matrix: all rows, in as few containers as show the same; what fails together is tried again alone.

import type { DroverClient } from '@drover/client'
import type { Lab } from '@drover/testkit/lab'
import { goRound, type RoundOptions } from './go-round.ts'
import { ProbeSubject } from './probe-subject.ts'
import type { Row, RowResult } from './row.ts'
import type { Subject } from './subject.ts'
import type { WorkloadLayer } from './workloads/workload-layer.ts'
import { workloadOf } from './workloads/workload-rows.ts'
import { WorkloadSubject } from './workloads/workload-subject.ts'

/** Probes that share a container; more would make its moves slow, fewer the matrix. */
const rowsPerContainer = 16

export interface MatrixOptions extends RoundOptions {
  /** Each row in a container of its own from the start. */
  alone: boolean
  /** Where the image of the workloads is, if it is. */
  layer: WorkloadLayer
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
    const subject = subjectOf(lab, client, serial, batch, options)
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

function subjectOf(lab: Lab, client: DroverClient, serial: number, batch: Row[], { layer }: MatrixOptions): Subject {
  const [first] = batch as [Row]
  const workload = workloadOf(first)
  if (workload !== undefined) return new WorkloadSubject(lab, client, first, workload, layer)
  return new ProbeSubject(lab, client, `matrix-${serial}`, batch)
}

/** What must be refused stops its whole container, so it has one of its own, as has each workload. */
function batchesOf(rows: Row[]): Row[][] {
  const single = ({ group, expected }: Row) => group === 'workload' || expected.kind === 'refused'
  const moving = rows.filter((row) => !single(row))
  const batches: Row[][] = []
  for (let at = 0; at < moving.length; at += rowsPerContainer) batches.push(moving.slice(at, at + rowsPerContainer))
  return [...batches, ...rows.filter(single).map((row) => [row])]
}

const order = (rows: Row[], { name }: RowResult): number => rows.findIndex((row) => row.name === name)

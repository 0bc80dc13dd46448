// `npm run matrix [-- OPTIONS]`: the compatibility matrix on three laboratory hosts.

import { readFileSync } from 'node:fs'
import { loadavg, release } from 'node:os'
import { parseArgs } from 'node:util'
import { criuChoice } from '@drover/cli/daemons'
import { DroverClient } from '@drover/client'
import { Lab } from '@drover/testkit/lab'
import { whyNot } from '../stories.ts'
import { tables, writeDocument, writeRows } from './document.ts'
import { hopsTable, runHops } from './hops.ts'
import { runMatrix } from './matrix.ts'
import { objectRows } from './objects.ts'
import type { RowResult } from './row.ts'
import { makeWorkloadLayer, type WorkloadLayer, workloadImage } from './workloads/workload-layer.ts'
import { workloadOf, workloadRows } from './workloads/workload-rows.ts'

const help = `npm run -s matrix [-- --rounds N --row NAME --alone --from FILE --hops N --json --write]

  --rounds  how often each goes a → b → c → a (10)
  --row     only this row; may be repeated
  --alone   each row in a container of its own
  --from    move nothing: take the rows that an earlier run gave with --json; may be repeated
  --hops    instead, move one Debian + systemd container this often, and count what could grow
  --json    one JSON document on stdout and nothing else
  --write   put the table into docs/migration.md; of some rows, in place of theirs`

const imageDeadlineMs = 900_000

interface Outcome {
  machine: string
  rows: RowResult[]
}

process.exitCode = await main()

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '10' },
      row: { type: 'string', multiple: true },
      alone: { type: 'boolean', default: false },
      from: { type: 'string', multiple: true },
      hops: { type: 'string' },
      json: { type: 'boolean', default: false },
      write: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(`${help}\n`)
    return 0
  }
  const rounds = Number(values.rounds)
  if (!Number.isInteger(rounds) || rounds < 1)
    return misused(`--rounds ${values.rounds}: must be a whole number from 1 on`)
  const all = [...workloadRows(), ...objectRows()]
  const unknown = values.row?.find((wanted) => !all.some(({ name }) => name === wanted))
  if (unknown !== undefined) return misused(`--row ${unknown}: there are ${all.map(({ name }) => name).join(', ')}`)
  if (values.hops !== undefined) return await hop(Number(values.hops), values)
  const names = all.map(({ name }) => name)
  const chosen = values.row ?? names
  const reason = values.from === undefined ? whyNot() : null
  if (reason !== null) return misused(reason)
  const outcome = values.from ? collected(values.from, names) : await run(rounds, chosen, values.alone)
  if (values.json) process.stdout.write(`${JSON.stringify({ rounds, ...outcome })}\n`)
  else process.stdout.write(`${tables(outcome.rows, outcome.machine)}\n`)
  if (values.write && outcome.rows.length < names.length) writeRows(outcome.rows)
  else if (values.write) writeDocument('matrix', tables(outcome.rows, outcome.machine))
  return outcome.rows.every(({ good }) => good) ? 0 : 1
}

async function run(rounds: number, names: string[], alone: boolean): Promise<Outcome> {
  const rows = [...workloadRows(), ...objectRows()].filter(({ name }) => names.includes(name))
  const layer = rows.some((row) => workloadOf(row)?.image === workloadImage)
    ? await makeWorkloadLayer(onProgress)
    : { directory: '', missing: 'no row wants it' }
  const results = await withLab(layer, (lab, client) =>
    runMatrix(lab, client, rows, { rounds, alone, layer, onProgress }),
  )
  return { machine: `Tried ${onThisMachine()}.`, rows: results }
}

async function hop(hops: number, { json, write }: { json: boolean; write: boolean }): Promise<number> {
  if (!Number.isInteger(hops) || hops < 4) return misused(`--hops ${hops}: must be a whole number from 4 on`)
  const reason = whyNot()
  if (reason !== null) return misused(reason)
  const layer = await makeWorkloadLayer(onProgress)
  if (layer.missing !== '') return misused(`--hops: no image ${workloadImage}: ${layer.missing}`)
  return await withLab(layer, async (lab, client) => {
    const result = await runHops(lab, client, hops, onProgress)
    const table = hopsTable(result, `Measured ${onThisMachine()}, load ${loadavg()[0]?.toFixed(1)}.`)
    process.stdout.write(json ? `${JSON.stringify(result)}\n` : `${table}\n`)
    if (write) writeDocument('hops', table)
    return result.failures.length === 0 ? 0 : 1
  })
}

/** A laboratory that has the images. */
async function withLab<Result>(
  layer: WorkloadLayer,
  work: (lab: Lab, client: DroverClient) => Promise<Result>,
): Promise<Result> {
  const lab = await Lab.start({ onProgress, ...(layer.missing === '' ? { layersDirectory: layer.directory } : {}) })
  try {
    const client = new DroverClient({ endpoints: lab.endpoints, secret: lab.secret })
    await client.waitOperation((await client.buildImage({ recipe: 'busybox' })).id)
    if (layer.missing === '') {
      const built = await client.buildImage({ recipe: 'debian', name: workloadImage })
      await client.waitOperation(built.id, { deadlineMs: imageDeadlineMs })
    }
    return await work(lab, client)
  } finally {
    await lab.down({ keepFiles: process.env.DROVER_KEEP === '1' })
  }
}

function onThisMachine(): string {
  const day = new Date().toISOString().slice(0, 10)
  return `on ${day} on Linux ${release()} with CRIU ${criuChoice().version ?? 'unknown'}`
}

function onProgress(line: string): void {
  process.stderr.write(`${line}\n`)
}

/** The rows of earlier runs; of a row in several, the last. */
function collected(files: string[], order: string[]): Outcome {
  const outcomes = files.map((file) => JSON.parse(readFileSync(file, 'utf8')) as Outcome)
  const rows = new Map(outcomes.flatMap((outcome) => outcome.rows.map((row) => [row.name, row] as const)))
  return {
    machine: [...new Set(outcomes.map(({ machine }) => machine))].join(' '),
    rows: order.flatMap((name) => rows.get(name) ?? []),
  }
}

function misused(message: string): number {
  process.stderr.write(`matrix: ${message}\n`)
  return 2
}

// `npm run matrix [-- --rounds N --row NAME… --alone --json --write]`: the compatibility matrix on three laboratory hosts.

import { release } from 'node:os'
import { parseArgs } from 'node:util'
import { criuChoice } from '@drover/cli/daemons'
import { DroverClient } from '@drover/client'
import { Lab } from '@drover/testkit/lab'
import { whyNot } from '../stories.ts'
import { tables, writeDocument } from './document.ts'
import { runMatrix } from './matrix.ts'
import { objectRows } from './objects.ts'

const help = `npm run -s matrix [-- --rounds N --row NAME --alone --json --write]

  --rounds  how often each goes a → b → c → a (10)
  --row     only this row; may be repeated
  --alone   each row in a container of its own
  --json    one JSON document on stdout and nothing else
  --write   put the table into docs/migration.md`

process.exitCode = await main()

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '10' },
      row: { type: 'string', multiple: true },
      alone: { type: 'boolean', default: false },
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
  const all = objectRows()
  const unknown = values.row?.find((wanted) => !all.some(({ name }) => name === wanted))
  if (unknown !== undefined) return misused(`--row ${unknown}: there are ${all.map(({ name }) => name).join(', ')}`)
  if (values.write && values.row !== undefined) return misused('--write wants all rows, so not with --row')
  const reason = whyNot()
  if (reason !== null) return misused(reason)
  const rows = all.filter(({ name }) => values.row === undefined || values.row.includes(name))
  const onProgress = (line: string) => void process.stderr.write(`${line}\n`)
  const lab = await Lab.start({ onProgress })
  try {
    const client = new DroverClient({ endpoints: lab.endpoints, secret: lab.secret })
    await client.waitOperation((await client.buildImage({ recipe: 'busybox' })).id)
    const results = await runMatrix(lab, client, rows, { rounds, alone: values.alone, onProgress })
    const machine = `Tried on Linux ${release()} with CRIU ${criuChoice().version ?? 'unknown'}.`
    if (values.json) process.stdout.write(`${JSON.stringify({ rounds, machine, rows: results })}\n`)
    else process.stdout.write(`${tables(results, machine)}\n`)
    if (values.write) writeDocument(results, machine)
    return results.every(({ good }) => good) ? 0 : 1
  } finally {
    await lab.down()
  }
}

function misused(message: string): number {
  process.stderr.write(`matrix: ${message}\n`)
  return 2
}

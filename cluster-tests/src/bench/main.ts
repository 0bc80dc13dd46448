// `npm run -s bench -- NAME [--json] [--n N] [--seed S] [--trace FILE]`: one benchmark, as a table for a person or one JSON object.

import { parseArgs } from 'node:util'
import { ratiosOf } from '../figures.ts'
import type { Bench, BenchOutcome } from './bench.ts'
import { consolidateBench } from './consolidate.ts'
import { densityBench } from './density.ts'
import { evacuateBench } from './evacuate.ts'
import { describeMachine } from './machine.ts'
import { migrateBench } from './migrate.ts'
import { packBench } from './pack.ts'
import { placeBench } from './place.ts'
import { startBench } from './start.ts'

const benches: Record<string, Bench> = {
  migrate: migrateBench,
  evacuate: evacuateBench,
  start: startBench,
  density: densityBench,
  place: placeBench,
  pack: packBench,
  consolidate: consolidateBench,
}

const help = `npm run -s bench -- NAME [--json] [--n N] [--seed S] [--phases] [--only NAME] [--trace FILE]

${Object.entries(benches)
  .map(([name, { summary, defaultN }]) => `  ${name.padEnd(8)} ${summary} (n = ${defaultN})`)
  .join('\n')}

  --json   one JSON object {bench, seed, machine, figures} on stdout and nothing else; with notes when a figure is null
  --n      how many are measured
  --seed   which of the equal choices are taken, or which trace is generated
  --phases what each phase took (migrate), how it scales (evacuate)
  --only   the one workload that is measured (migrate), or systemd or rates (start)
  --trace  a trace to replay instead (pack, consolidate)`

process.exitCode = await main(process.argv.slice(2))

async function main(args: string[]): Promise<number> {
  let parsed: ReturnType<typeof parse>
  try {
    parsed = parse(args)
  } catch (error) {
    return misused((error as Error).message)
  }
  const { values, positionals } = parsed
  if (values.help) {
    process.stdout.write(`${help}\n`)
    return 0
  }
  const name = positionals[0] ?? ''
  const bench = Object.hasOwn(benches, name) ? benches[name] : undefined
  if (bench === undefined || positionals.length > 1) return misused(`there is no benchmark ${JSON.stringify(name)}`)
  const n = Number(values.n ?? bench.defaultN)
  const seed = Number(values.seed ?? 1)
  if (!Number.isInteger(n) || n < 1) return misused(`--n ${values.n}: must be a whole number from 1 on`)
  if (!Number.isInteger(seed) || seed < 0) return misused(`--seed ${values.seed}: must be a whole number from 0 on`)
  if (bench.needsRoot && process.getuid?.() !== 0) {
    process.stderr.write('bench: real containers need root\n')
    return 2
  }
  const onProgress = (line: string) => void process.stderr.write(`${line}\n`)
  const outcome = await bench.run({
    n,
    seed,
    trace: values.trace ?? null,
    phases: values.phases,
    only: values.only ?? null,
    onProgress,
  })
  const { notes } = outcome
  const figures = { ...outcome.figures, ...ratiosOf(outcome.figures, bench.ratios ?? {}) }
  const machine = describeMachine()
  if (values.json)
    process.stdout.write(
      `${JSON.stringify({ bench: name, seed, machine, figures, ...(values.phases || missing(figures) ? { notes } : {}) })}\n`,
    )
  else process.stdout.write(`${table(name, figures)}\n\n${notes.join('\n')}\n${JSON.stringify(machine)}\n`)
  return 0
}

function parse(args: string[]) {
  return parseArgs({
    args,
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      n: { type: 'string' },
      seed: { type: 'string' },
      only: { type: 'string' },
      phases: { type: 'boolean', default: false },
      trace: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
}

function missing(figures: BenchOutcome['figures']): boolean {
  return Object.values(figures).includes(null)
}

function table(name: string, figures: BenchOutcome['figures']): string {
  const width = Math.max(...Object.keys(figures).map((key) => key.length))
  return [
    `\nbench ${name}`,
    ...Object.entries(figures).map(([key, value]) => `  ${key.padEnd(width)}  ${value ?? 'not measured'}`),
  ].join('\n')
}

function misused(message: string): number {
  process.stderr.write(`bench: ${message}\n\n${help}\n`)
  return 2
}

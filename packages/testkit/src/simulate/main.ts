// `npm run simulate -- cluster …`: replays a trace and prints what came of it.

import { writeFileSync } from 'node:fs'
import { DroverError } from '@drover/protocol'
import { compare, comparisonTable } from './compare.ts'
import { help, parseOptions } from './options.ts'
import { plot } from './plot.ts'
import { openTrace } from './traces/open-trace.ts'

process.exitCode = main(process.argv.slice(2))

function main(args: string[]): number {
  try {
    const options = parseOptions(args)
    if (options === null) {
      process.stdout.write(`${help}\n`)
      return 0
    }
    const trace = openTrace({ path: options.trace, days: options.days, seed: options.seed, stay: options.stay })
    const onProgress = (line: string) => void process.stderr.write(`${line}\n`)
    const comparison = compare(trace, { ...options, onProgress })
    if (options.plot !== null) {
      const lines = comparison.runs.map(({ label, result }) => ({ label, samples: result.samples }))
      writeFileSync(options.plot, plot(`${trace.name} on ${comparison.hosts} hosts`, lines))
    }
    if (options.json) {
      const runs = comparison.runs.map(({ label, seconds, result }) => ({ label, seconds, figures: result.figures }))
      process.stdout.write(`${JSON.stringify({ ...comparison, seed: options.seed, runs })}\n`)
    } else process.stdout.write(comparisonTable(comparison))
    return 0
  } catch (error) {
    if (!(error instanceof DroverError)) throw error
    process.stderr.write(`simulate: ${error.message}\n\n${help}\n`)
    return 2
  }
}

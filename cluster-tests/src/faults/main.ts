// `npm run faults [-- FILTER…] [--rounds N | --up-to N] [--json] [--write]`: the fault table of live migration, on real hosts.

import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { whyNot } from '../stories.ts'
import { casesMatching, describeCase, type FaultCase } from './cases.ts'
import { type CaseOutcome, runCase } from './run-case.ts'
import { Stage } from './stage.ts'
import { faultTables, outcomesOf, withTables } from './table.ts'

const help = `npm run faults [-- WORD… --rounds N --json --write --add]

Moves a container again and again, each time with one part killed, stopped or cut off at one point of the move, or the move
cancelled there, and checks that exactly one copy goes on, whole, with nothing left behind.

  WORD      only the cases with all these words, e.g. 'source.frozen' 'kill leader'
  --rounds  how often each case is run (1)
  --up-to   as often as docs/faults.md lacks to N of it; with --write --add a run that was stopped goes on where it was
  --json    one JSON array of outcomes on stdout
  --write   put the outcomes into the tables of docs/faults.md, in place of what the cells said; case by case, so that a run
            may be stopped at any time
  --add     with --write: beside what the cells said`

const page = fileURLToPath(new URL('../../../../docs/faults.md', import.meta.url))

process.exitCode = await main(process.argv.slice(2))

async function main(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      rounds: { type: 'string', default: '1' },
      'up-to': { type: 'string' },
      json: { type: 'boolean', default: false },
      write: { type: 'boolean', default: false },
      add: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  const rounds = Number(values['up-to'] ?? values.rounds)
  const cases = casesMatching(positionals.join(' '))
  const reason = whyNot()
  if (values.help || cases.length === 0 || !Number.isInteger(rounds) || rounds < 1 || reason !== null) {
    process.stderr.write(`${reason === null ? help : `faults: ${reason}`}\n`)
    return values.help ? 0 : 2
  }
  const before = readFileSync(page, 'utf8')
  const state = codeState()
  const keep = (outcomes: readonly CaseOutcome[]) =>
    writeFileSync(page, withTables(before, outcomes, values.add, state))
  const done = (fault: FaultCase) => (values['up-to'] === undefined ? 0 : outcomesOf(before, fault))
  const all = Array.from({ length: rounds }, (_, round) => cases.filter((fault) => done(fault) <= round)).flat()
  const { outcomes, untried } = await runAll(all, values.write ? keep : () => {})
  if (values.json) process.stdout.write(`${JSON.stringify(outcomes)}\n`)
  else process.stdout.write(`${faultTables(outcomes)}\n`)
  return untried > 0 || outcomes.some(({ problems }) => problems.length > 0) ? 1 : 0
}

/** The commit that this is, as far as git knows. */
function codeState(): string | null {
  try {
    const directory = fileURLToPath(new URL('.', import.meta.url))
    return execFileSync('git', ['log', '-1', '--format=%h, %cs'], { cwd: directory, encoding: 'utf8' }).trim()
  } catch {
    return null
  }
}

/** A case that could not even be tried, on a machine too busy for the laboratory, has no outcome. */
async function runAll(all: readonly FaultCase[], keep: (outcomes: readonly CaseOutcome[]) => void) {
  const outcomes: CaseOutcome[] = []
  let untried = 0
  let stage: Stage | null = null
  try {
    for (const fault of all) {
      const number = `${outcomes.length + untried + 1}/${all.length}`
      try {
        stage ??= await Stage.open()
        const outcome = await runCase(stage.story, stage.subject, fault)
        outcomes.push(outcome)
        keep(outcomes)
        process.stderr.write(`${number} ${describeCase(fault)}: ${verdict(outcome)}\n`)
        if (outcome.problems.length > 0) stage = await stage.close()
      } catch (thrown) {
        untried++
        process.stderr.write(`${number} ${describeCase(fault)}: NOT TRIED: ${(thrown as Error).message}\n`)
        stage = stage === null ? null : await stage.close()
      }
    }
  } finally {
    await stage?.close()
  }
  return { outcomes, untried }
}

function verdict({ outcome, blackoutMs, problems }: CaseOutcome): string {
  const silence = blackoutMs === null ? '' : `, silence ${Math.round(blackoutMs)} ms`
  return `${outcome}${silence}${problems.map((problem) => `\n  PROBLEM: ${problem}`).join('')}`
}

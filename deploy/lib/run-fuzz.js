// Runs the fuzz targets of native/fuzz one after the other with libFuzzer, each for some seconds of processor time (so that none is passed
// over on a busy machine), and prints a row for each. What it found worth keeping stays in .drover/fuzz/corpus, so that the next run
// goes on there; the corpus of the tree is only read.

import { spawn } from 'node:child_process'
import { createWriteStream, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join, relative } from 'node:path'
import { parseArgs } from 'node:util'

const usualSeconds = 10
const mostSeconds = 24 * 3600
/** How much longer than its processor time a target may take. */
const patience = 20
const lookMs = 200
/** With which libFuzzer ends then, having found nothing. */
const interruptedCode = 72
/** Of the times in /proc/PID/stat (USER_HZ). */
const ticksPerSecond = 100
/** One input may take this long, and this much memory. */
const inputSeconds = 10
const memoryMiB = 2048

const root = join(import.meta.dirname, '..', '..')
const source = join(root, 'native', 'fuzz')
const state = join(root, '.drover', 'fuzz')
const program = join(source, 'build', 'libfuzzer', 'drover-fuzz')
const options = readOptions()
const names = await targetNames()
const results = []
if (!options.json) print(['target', 'runs', 'runs/s', 'edges', 'inputs', 'findings'])
for (const name of options.target ?? names) {
  const result = await fuzz(name)
  results.push(result)
  if (options.json) continue
  print([name, result.runs, result.runsPerSecond, result.edges, result.inputs, result.findings.length])
  for (const { input, replay, report } of result.findings) {
    for (const line of report) console.log(`  | ${line}`)
    console.log(`  input: ${input}\n  replay: ${replay}`)
  }
}
const found = results.flatMap((result) => result.findings)
if (options.json) console.log(JSON.stringify({ secondsPerTarget: options.seconds, targets: results }, null, 2))
else
  console.log(
    found.length === 0 ? 'nothing found' : `${found.length} found: fix it, and put the input into native/fuzz/corpus`,
  )
process.exitCode = found.length === 0 ? 0 : 1

function readOptions() {
  const usage = `npm run fuzz [-- --seconds N] [--target NAME]… [--json]

Fuzzes the parsers of the native code, each for N seconds of processor time (${usualSeconds}).
  npm run fuzz -- --seconds 60 --target request`
  try {
    const { values } = parseArgs({
      options: {
        seconds: { type: 'string', default: String(usualSeconds) },
        target: { type: 'string', multiple: true },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
    if (values.help) {
      console.log(usage)
      process.exit(0)
    }
    const seconds = Number(values.seconds)
    if (!Number.isInteger(seconds) || seconds < 1 || seconds > mostSeconds)
      throw new Error(`--seconds ${values.seconds}: must be 1 to ${mostSeconds}`)
    return { ...values, seconds }
  } catch (error) {
    console.error(`fuzz: ${error.message}\n\n${usage}`)
    process.exit(2)
  }
}

async function targetNames() {
  const known = (await run(program, ['--targets'], {})).output.trim().split('\n')
  const unknown = (options.target ?? []).find((name) => !known.includes(name))
  if (unknown === undefined) return known
  console.error(`fuzz: --target ${unknown}: there are ${known.join(', ')}`)
  process.exit(2)
}

async function fuzz(name) {
  const corpus = join(state, 'corpus', name)
  const findings = join(state, 'findings', name)
  const dictionary = join(source, 'dictionaries', `${name}.dict`)
  // libFuzzer ends without destructors: what a target has made there is removed here.
  const scratch = join(state, 'scratch', name)
  for (const folder of [corpus, findings, scratch, join(source, 'corpus', name)]) mkdirSync(folder, { recursive: true })
  const before = new Set(readdirSync(findings))
  const { code, output } = await run(
    program,
    [
      `-max_total_time=${options.seconds * patience}`,
      `-timeout=${inputSeconds}`,
      `-rss_limit_mb=${memoryMiB}`,
      `-artifact_prefix=${findings}/`,
      '-print_final_stats=1',
      ...(existsSync(dictionary) ? [`-dict=${dictionary}`] : []),
      corpus,
      join(source, 'corpus', name),
    ],
    { DROVER_FUZZ_TARGET: name, TMPDIR: scratch },
    options.seconds,
  )
  rmSync(scratch, { recursive: true, force: true })
  const number = (pattern) => Number([...output.matchAll(pattern)].at(-1)?.[1] ?? 0)
  const inputs = readdirSync(findings).filter((file) => !before.has(file))
  const report = output
    .split('\n')
    .filter((line) => /ERROR: |runtime error|does not hold|SUMMARY/.test(line))
    .slice(0, 5)
  const ended = code === 0 || code === interruptedCode ? [] : [null]
  return {
    target: name,
    runs: number(/stat::number_of_executed_units: (\d+)/g) || number(/^#(\d+)/gm),
    runsPerSecond: number(/stat::average_exec_per_sec: +(\d+)/g) || number(/exec\/s: (\d+)/g),
    edges: number(/ cov: (\d+)/g),
    inputs: number(/ corp: (\d+)/g),
    findings: (inputs.length > 0 ? inputs : ended).map((file) => {
      const input = file === null ? null : relative(root, join(findings, file))
      return {
        input,
        replay: `DROVER_FUZZ_TARGET=${name} ${relative(root, program)} ${input ?? ''}`,
        report: report.length > 0 ? report : output.trim().split('\n').slice(-3),
      }
    }),
  }
}

/** Its output also goes to a log, as a whole. Interrupted after so much processor time, libFuzzer prints its figures and ends well. */
function run(command, args, environment, processorSeconds = Infinity) {
  mkdirSync(state, { recursive: true })
  const path = join(state, `${environment.DROVER_FUZZ_TARGET ?? 'targets'}.log`)
  const log = createWriteStream(path)
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, env: { ...process.env, ...environment } })
    child.stdout.pipe(log, { end: false })
    child.stderr.pipe(log, { end: false })
    child.on('error', reject)
    const watch = setInterval(() => {
      if (processorTime(child.pid) >= processorSeconds) child.kill('SIGINT')
    }, lookMs)
    child.on('close', (code) => {
      clearInterval(watch)
      log.end(() => resolve({ code, output: readFileSync(path, 'utf8') }))
    })
  })
}

/** Seconds; 0 when it has ended. */
function processorTime(pid) {
  try {
    const [user, system] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1).split(' ').slice(11, 13)
    return (Number(user) + Number(system)) / ticksPerSecond
  } catch {
    return 0
  }
}

function print([name, ...figures]) {
  console.log(name.padEnd(16) + figures.map((figure) => String(figure).padStart(12)).join(''))
}

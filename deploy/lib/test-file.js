// One test file in a Node process, its TAP read as it comes. The process is ended, first kindly, when its time is over, and when
// this one is asked to end.

import { spawn } from 'node:child_process'
import { pipeline } from 'node:stream/promises'
import { Parser } from 'tap-parser'
import { FileTally } from './test-count.js'

/** Milliseconds that a file has to clear up: after tap said that its time is over, and again after the process was told to end. */
const graceMs = 30_000

const running = new Set()
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, async () => {
    await Promise.all([...running].map((test) => test.end()))
    process.exit(signal === 'SIGINT' ? 130 : 143)
  })
}

/** What FileTally.close gives for the file, a path below `root`. */
export async function runTestFile(root, file, timeoutSeconds) {
  const started = Date.now()
  const child = spawn(process.execPath, command(file), {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
    // tap's own limit says which test hung.
    env: { ...process.env, TAP: '1', TAP_TIMEOUT: String(timeoutSeconds) },
  })
  const ended = new Promise((resolve) => child.on('close', (code, signal) => resolve(signal ?? code)))
  const test = { end: () => end(child, ended) }
  running.add(test)
  let late = false
  const timer = setTimeout(
    () => {
      late = true
      test.end()
    },
    timeoutSeconds * 1000 + graceMs,
  )
  const tally = new FileTally()
  const parser = new Parser()
  tally.watch(parser)
  const results = new Promise((resolve) => parser.on('complete', resolve))
  await pipeline(child.stdout, parser)
  const [outcome, result] = await Promise.all([ended, results])
  clearTimeout(timer)
  running.delete(test)
  const failure = late ? `took longer than ${timeoutSeconds} s` : outcome === 0 ? undefined : `ended with ${outcome}`
  return tally.close({ name: file, timeMs: Date.now() - started, result, failure })
}

/** Where starting what compiles TypeScript takes a minute (machine-tests), that was done before. */
function command(file) {
  if (process.env.DROVER_TESTS_COMPILED === 'yes') return [file.replace(/\.ts$/, '.js')]
  return ['--enable-source-maps', '--import=tsx', file]
}

async function end(child, ended) {
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), graceMs)
  await ended
  clearTimeout(timer)
}

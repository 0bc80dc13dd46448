// Runs the test files, each in a process of its own: one line for each as it ends, what failed in full, and the count as the last line.
// Arguments: how many checks failed before (lint, types: each counts as one failed test), then filters (test-files.js).
//
// The files are run as they are and not by tap's runner: that would have each Node process below a test, the commands and the daemons too,
// load what traces coverage, and a story spent most of its processor time there.

import { join } from 'node:path'
import { inspect } from 'node:util'
import { TestCount } from './test-count.js'
import { runTestFile } from './test-file.js'
import { testStages } from './test-files.js'

/** Lines of a failed file's other output that are shown: its end tells most. */
const shownOutputLines = 60

const root = join(import.meta.dirname, '..', '..')
const [checksFailed = '0', ...filters] = process.argv.slice(2)
const count = new TestCount()
count.failed += Number(checksFailed)
const stages = testStages(root, filters)
if (stages.length === 0) console.log(`no test file matches ${filters.join(' or ')}`)
for (const stage of stages) await run(stage)
for (const [reason, times] of count.reasons) console.log(`skipped ${times}: ${reason}`)
console.log(String(count))
process.exitCode = count.failed > 0 || count.passed === 0 ? 1 : 0

async function run(stage) {
  console.log(`${stage.name}: ${stage.files} file${stage.files === 1 ? '' : 's'}`)
  await Promise.all(stage.lanes.map(runLane))
}

async function runLane(queues) {
  for (const { timeout, files } of queues) {
    for (let file = files.shift(); file !== undefined; file = files.shift()) {
      print(count.add(await runTestFile(root, file, timeout)))
    }
  }
}

function print(file) {
  const parts = [
    file.passed > 0 ? `${file.passed} passed` : '',
    file.failed > 0 ? `${file.failed} FAILED` : '',
    file.skipped > 0 ? `${file.skipped} skipped` : '',
  ].filter(Boolean)
  console.log(
    `  ${file.failed > 0 ? '✗' : '✓'} ${file.name}  ${parts.join(', ')}  ${(file.timeMs / 1000).toFixed(1)} s`,
  )
  if (file.failed === 0) return
  for (const failure of file.failures) {
    console.log(`    ✗ ${failure.name}`)
    console.log(indented(inspect(failure.diagnosis, { depth: 6, breakLength: 110, maxStringLength: 2000 })))
  }
  const output = file.output
    .join('')
    .split('\n')
    .filter((line) => line.trim() !== '')
  if (output.length > 0) console.log(indented(output.slice(-shownOutputLines).join('\n')))
}

function indented(text) {
  return text.replace(/^/gm, '      ')
}

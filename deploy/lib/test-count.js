// Reads the TAP of a run, tells each file's outcome as it ends, and counts: a test is a top-level t.test of a file; a file
// without any counts as one. A file that ends badly with no failed test in it (crash, timeout) counts as one failed test.

import { Parser } from 'tap-parser'

export class TestCount {
  passed = 0
  failed = 0
  skipped = 0
  /** reason → how many tests were skipped for it. */
  reasons = new Map()

  /** A stream for tap's stdout; `onFile({name, passed, failed, skipped, timeMs, failures, output})` at the end of each file. */
  parser(onFile) {
    const top = new Parser()
    let file = null
    top.on('child', (child) => {
      file = this.#watchFile(child)
    })
    top.on('assert', (result) => {
      const done = file ?? { tests: [], failures: [], output: [] }
      file = null
      onFile(this.#close(done, result))
    })
    return top
  }

  #watchFile(parser) {
    const file = { tests: [], failures: [], output: [] }
    let inSubtest = false
    parser.on('extra', (text) => file.output.push(text))
    parser.on('child', (child) => {
      inSubtest = true
      watchLeaves(child, file)
    })
    parser.on('assert', (result) => {
      if (inSubtest || result.skip || result.todo) file.tests.push(result)
      else if (isFailure(result)) file.failures.push(describe(result))
      inSubtest = false
    })
    return file
  }

  #close(file, result) {
    const counts = { passed: 0, failed: 0, skipped: 0 }
    const tests = file.tests.length > 0 && !result.skip ? file.tests : [result]
    for (const test of tests) {
      if (test.skip || test.todo) {
        counts.skipped++
        const reason = String(test.skip === true || !test.skip ? (test.todo ?? 'no reason given') : test.skip)
        this.reasons.set(reason, (this.reasons.get(reason) ?? 0) + 1)
      } else if (test.ok) counts.passed++
      else counts.failed++
    }
    if (isFailure(result)) {
      if (counts.failed === 0) counts.failed = 1
      if (file.failures.length === 0) file.failures.push(describe(result))
    }
    this.passed += counts.passed
    this.failed += counts.failed
    this.skipped += counts.skipped
    return { name: result.name, ...counts, timeMs: result.time ?? 0, failures: file.failures, output: file.output }
  }

  /** The closing line. */
  toString() {
    return `${this.passed} passed, ${this.failed} failed${this.skipped > 0 ? `, ${this.skipped} skipped` : ''}`
  }
}

/** Collects the failed assertions below a subtest: those that aren't the sum of a deeper subtest. */
function watchLeaves(parser, file) {
  let inSubtest = false
  parser.on('extra', (text) => file.output.push(text))
  parser.on('child', (child) => {
    inSubtest = true
    watchLeaves(child, file)
  })
  parser.on('assert', (result) => {
    if (!inSubtest && isFailure(result)) file.failures.push(describe(result))
    inSubtest = false
  })
}

function isFailure(result) {
  return !result.ok && !result.skip && !result.todo
}

function describe(result) {
  return { name: result.fullname || result.name, diagnosis: result.diag ?? {} }
}

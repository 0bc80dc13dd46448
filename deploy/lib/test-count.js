// Counts tests: a test is a top-level t.test of a file; a file without any counts as one. A file that ends badly with no failed test in
// it (crash, timeout) counts as one failed test.

/** What one file said, by the events of its TAP parser. */
export class FileTally {
  #tests = []
  #failures = []
  #output = []

  /** Of failed assertions those are kept that aren't the sum of a deeper subtest. */
  watch(parser, isWholeFile = true) {
    let inSubtest = false
    parser.on('extra', (text) => this.#output.push(text))
    parser.on('child', (child) => {
      inSubtest = true
      this.watch(child, false)
    })
    parser.on('assert', (result) => {
      if (isWholeFile && (inSubtest || result.skip || result.todo)) this.#tests.push(result)
      else if (!inSubtest && isFailure(result)) this.#failures.push(describe(result))
      inSubtest = false
    })
  }

  /**
   * {name, timeMs, passed, failed, skipped, reasons, failures, output} of a file that has ended. `result` is the parser's; `failure` says
   * in words how the process ended, if not well.
   */
  close({ name, timeMs, result, failure }) {
    const counts = { passed: 0, failed: 0, skipped: 0 }
    const ok = result.ok && failure === undefined
    const skip = ok && result.plan?.skipAll ? result.plan.skipReason || true : undefined
    const tests = this.#tests.length > 0 && !skip ? this.#tests : [{ ok, skip }]
    const reasons = []
    for (const test of tests) {
      if (test.skip || test.todo) {
        counts.skipped++
        reasons.push(String(test.skip === true || !test.skip ? (test.todo ?? 'no reason given') : test.skip))
      } else if (test.ok) counts.passed++
      else counts.failed++
    }
    if (!ok) {
      if (counts.failed === 0) counts.failed = 1
      if (this.#failures.length === 0) {
        this.#failures.push({ name: failure ?? 'what it said is no whole TAP', diagnosis: result.failures ?? {} })
      }
    }
    return { name, timeMs, ...counts, reasons, failures: this.#failures, output: this.#output }
  }
}

/** The sum over all files. */
export class TestCount {
  passed = 0
  failed = 0
  skipped = 0
  /** reason → how many tests were skipped for it. */
  reasons = new Map()

  /** Adds what FileTally.close gave, and gives it back. */
  add(file) {
    this.passed += file.passed
    this.failed += file.failed
    this.skipped += file.skipped
    for (const reason of file.reasons) this.reasons.set(reason, (this.reasons.get(reason) ?? 0) + 1)
    return file
  }

  /** The closing line. */
  toString() {
    return `${this.passed} passed, ${this.failed} failed${this.skipped > 0 ? `, ${this.skipped} skipped` : ''}`
  }
}

function isFailure(result) {
  return !result.ok && !result.skip && !result.todo
}

function describe(result) {
  return { name: result.fullname || result.name, diagnosis: result.diag ?? {} }
}

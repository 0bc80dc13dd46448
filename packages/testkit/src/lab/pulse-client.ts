// The client outside: a program that holds one TCP connection to a container's `pulse` service and watches its ticks, in a
// process of its own so that nothing else delays its clock. A tick is a line `pid counter monotonic_ms`.
// usage: pulse-client.js ADDRESS PORT — commands on stdin: `mark` starts a new stretch, `report` prints a PulseReport of it.

import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import type { PulseReport } from './pulse.ts'

interface Stretch {
  lines: number
  first: string | null
  last: string | null
  pids: Set<number>
  /** Longest time without a line, ms, and when it ended (wall clock). */
  longestGapMs: number
  gapEndedAtMs: number
  gaps: number[]
  skipped: number
}

const [address, port] = process.argv.slice(2)
let stretch = newStretch()
let lastCounter: number | null = null
let lastArrival = 0
let lost: string | null = null
let rest = ''

const socket = connect({ host: address as string, port: Number(port) })
socket.setNoDelay(true)
socket.on('connect', () => send({ event: 'connected' }))
socket.on('data', (data) => {
  const now = performance.now()
  const lines = (rest + data.toString('latin1')).split('\n')
  rest = lines.pop() ?? ''
  for (const line of lines) take(line, now)
})
socket.on('error', (error) => lose(error.message))
socket.on('close', () => lose('the connection was closed'))

createInterface({ input: process.stdin })
  .on('line', (command) => {
    if (command === 'mark') stretch = newStretch()
    if (command === 'report') send({ event: 'report', report: report() })
  })
  .on('close', () => process.exit(0))

function take(line: string, now: number): void {
  const [pid, counter] = line.split(' ').map(Number)
  if (pid === undefined || counter === undefined || Number.isNaN(pid + counter)) {
    lose(`odd line: ${line}`)
    return
  }
  // Each tick must follow the one before: a restart would begin anew, a lost copy would leave a hole.
  if (lastCounter !== null && counter !== lastCounter + 1) stretch.skipped++
  if (lastArrival > 0) {
    const gap = now - lastArrival
    if (gap > stretch.longestGapMs) {
      stretch.longestGapMs = gap
      stretch.gapEndedAtMs = Date.now()
    }
    stretch.gaps.push(gap)
    if (stretch.gaps.length > 100_000) stretch.gaps.shift()
  }
  lastCounter = counter
  lastArrival = now
  stretch.pids.add(pid)
  stretch.first ??= line
  stretch.last = line
  stretch.lines++
  if (stretch.lines === 1) send({ event: 'tick' })
}

function report(): PulseReport {
  const sorted = [...stretch.gaps].sort((a, b) => a - b)
  const silence = lastArrival > 0 ? performance.now() - lastArrival : 0
  const tick = sorted[Math.floor(sorted.length / 2)] ?? 0
  return {
    lines: stretch.lines,
    first: stretch.first,
    last: stretch.last,
    pids: [...stretch.pids],
    longestGapMs: Math.max(stretch.longestGapMs, silence),
    gapEndedAtMs: stretch.gapEndedAtMs,
    silenceMs: silence,
    tickMs: tick,
    blackoutMs: Math.max(0, Math.max(stretch.longestGapMs, silence) - tick),
    unbroken: stretch.skipped === 0 && lost === null,
    skipped: stretch.skipped,
    lost,
  }
}

function lose(reason: string): void {
  if (lost !== null) return
  lost = reason
  send({ event: 'lost', reason })
}

function send(message: unknown): void {
  process.stdout.write(`${JSON.stringify(message)}\n`)
}

function newStretch(): Stretch {
  return {
    lines: 0,
    first: null,
    last: null,
    pids: new Set(),
    longestGapMs: 0,
    gapEndedAtMs: 0,
    gaps: [],
    skipped: 0,
  }
}

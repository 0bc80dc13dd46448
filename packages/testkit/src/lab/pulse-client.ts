// The client outside: one program that holds TCP connections to containers' `pulse` services and watches their ticks, in a
// process of its own so that nothing else delays its clock. A tick is a line `pid counter monotonic_ms`.
// Commands on stdin: `open ID ADDRESS PORT [TICK_MS]`, `mark ID` (starts a new stretch), `report ID`, `close ID`. Answers are JSON lines.

import { connect, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import type { PulseMessage, PulseReport } from './pulse.ts'

/** Gaps kept for the usual time between ticks; the longest one is kept apart. */
const keptGaps = 20_000

const buffer = Buffer.alloc(16 << 10)
const streams = new Map<string, Stream>()

class Stream {
  readonly #id: string
  readonly #socket: Socket
  #rest = ''
  #lost: string | null = null
  #lastCounter: number | null = null
  #lastArrival = 0
  #stretch = newStretch()

  constructor(id: string, address: string, port: number, tick: string) {
    this.#id = id
    // Into one buffer, past the machinery of streams: with hundreds of them ticks are what this program does.
    const onread = {
      buffer,
      callback: (bytes: number) => {
        this.#hear(buffer.toString('latin1', 0, bytes), performance.now())
        return true
      },
    }
    this.#socket = connect({ host: address, port, onread })
    this.#socket.setNoDelay(true)
    if (tick !== '') this.#socket.write(`tick ${tick}\n`)
    this.#socket.on('error', (error) => this.#lose(error.message))
    this.#socket.on('close', () => this.#lose('the connection was closed'))
  }

  mark(): void {
    this.#stretch = newStretch()
  }

  close(): void {
    this.#lost = 'closed by the client'
    this.#socket.destroy()
  }

  report(): PulseReport {
    const { gaps, longestGapMs, lines, first, last, pids, skipped, gapEndedAtMs } = this.#stretch
    const sorted = [...gaps].sort((left, right) => left - right)
    const silenceMs = this.#lastArrival > 0 ? performance.now() - this.#lastArrival : 0
    const longest = Math.max(longestGapMs, silenceMs)
    const tickMs = sorted[Math.floor(sorted.length / 2)] ?? 0
    return {
      lines,
      first,
      last,
      pids: [...pids],
      longestGapMs: longest,
      gapEndedAtMs,
      silenceMs,
      tickMs,
      blackoutMs: Math.max(0, longest - tickMs),
      unbroken: skipped === 0 && this.#lost === null,
      skipped,
      lost: this.#lost,
    }
  }

  #hear(text: string, now: number): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) this.#take(line, now)
  }

  #take(line: string, now: number): void {
    const [pid, counter] = line.split(' ').map(Number)
    if (pid === undefined || counter === undefined || Number.isNaN(pid + counter)) {
      this.#lose(`odd line: ${line}`)
      return
    }
    const stretch = this.#stretch
    // Each tick must follow the one before: a restart would begin anew, a lost copy would leave a hole.
    if (this.#lastCounter !== null && counter !== this.#lastCounter + 1) stretch.skipped++
    if (this.#lastArrival > 0) {
      const gap = now - this.#lastArrival
      if (gap > stretch.longestGapMs) {
        stretch.longestGapMs = gap
        stretch.gapEndedAtMs = Date.now()
      }
      if (stretch.gaps.length < keptGaps) stretch.gaps.push(gap)
    } else send({ id: this.#id, event: 'ticking' })
    this.#lastCounter = counter
    this.#lastArrival = now
    stretch.pids.add(pid)
    stretch.first ??= line
    stretch.last = line
    stretch.lines++
  }

  #lose(reason: string): void {
    if (this.#lost !== null) return
    this.#lost = reason
    send({ id: this.#id, event: 'lost', reason })
  }
}

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const [command, id = '', address = '', port = '', tick = ''] = line.split(' ')
    const stream = streams.get(id)
    if (command === 'open') streams.set(id, new Stream(id, address, Number(port), tick))
    else if (command === 'mark') stream?.mark()
    else if (command === 'report' && stream) send({ id, event: 'report', report: stream.report() })
    else if (command === 'close') {
      stream?.close()
      streams.delete(id)
    }
  })
  .on('close', () => process.exit(0))

function send(message: PulseMessage): void {
  process.stdout.write(`${JSON.stringify(message)}\n`)
}

function newStretch() {
  return {
    lines: 0,
    first: null as string | null,
    last: null as string | null,
    pids: new Set<number>(),
    /** Longest time without a line, ms, and when it ended (wall clock). */
    longestGapMs: 0,
    gapEndedAtMs: 0,
    gaps: [] as number[],
    skipped: 0,
  }
}

// TCP streams from containers' `pulse` services to a client outside the cluster, and what that client saw: whether the connection
// and the counter went on unbroken, and how long it heard nothing (the blackout as a user has it).

import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { waitUntil } from '@drover/cli/daemons'
import { DroverError } from '@drover/protocol'

export const pulsePort = 7000

/** Holds the streams, in a process of its own so that nothing else delays its clock; its commands are in native/lab-tools/pulse-client.c. */
export const pulseClientPath = fileURLToPath(
  new URL('../../../../native/lab-tools/build/pulse-client', import.meta.url),
)

export interface PulseReport {
  lines: number
  /** First and last line of the stretch: `pid counter monotonic_ms`. */
  first: string | null
  last: string | null
  pids: number[]
  longestGapMs: number
  gapEndedAtMs: number
  /** Since the last line. */
  silenceMs: number
  /** Usual time between lines. */
  tickMs: number
  /** Longest gap minus the usual one. */
  blackoutMs: number
  /** Connection alive and no tick missing or repeated. */
  unbroken: boolean
  skipped: number
  lost: string | null
}

export type PulseMessage =
  | { id: string; event: 'ticking' }
  | { id: string; event: 'lost'; reason: string }
  | { id: string; event: 'report'; report: PulseReport }

const connectDeadlineMs = 15_000
/** A connection attempt into the void is given up after this and tried anew. */
const attemptDeadlineMs = 3_000
const reportDeadlineMs = 5_000

type Child = ChildProcessByStdio<Writable, Readable, null>

/** The client program; all streams of a laboratory share one. */
export class PulseClient {
  readonly #child: Child
  readonly #pulses = new Map<string, Pulse>()
  #next = 1
  #ended = false

  /** `prefix` runs it in the client's namespace. */
  constructor(prefix: string[]) {
    if (!existsSync(pulseClientPath)) {
      throw new DroverError('INTERNAL', 'the pulse client is not built (npm run bootstrap does, with a C compiler)')
    }
    const [command, ...args] = [...prefix, pulseClientPath]
    this.#child = spawn(command as string, args, { stdio: ['pipe', 'pipe', 'inherit'], cwd: '/' })
    this.#child.stdin.on('error', () => {})
    this.#child.on('exit', () => {
      this.#ended = true
    })
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      const message = JSON.parse(line) as PulseMessage
      this.#pulses.get(message.id)?.take(message)
    })
  }

  /** Connects and waits for the first tick; tries again while the service does not answer yet. */
  async open(address: string, tickMs?: number): Promise<Pulse> {
    return await waitUntil(`the pulse of ${address}`, connectDeadlineMs, async () => {
      const id = String(this.#next++)
      const pulse = new Pulse(
        (command) => this.#tell(command, id),
        () => this.#pulses.delete(id),
      )
      this.#pulses.set(id, pulse)
      this.#tell('open', id, `${address} ${pulsePort} ${tickMs ?? ''}`)
      try {
        await waitUntil('a tick', attemptDeadlineMs, () => pulse.ticking || pulse.lost !== null)
        if (pulse.lost === null) return pulse
        throw new DroverError('TRANSFER_FAILED', pulse.lost)
      } catch (error) {
        pulse.close()
        throw error
      }
    })
  }

  end(): void {
    this.#child.stdin.end()
    this.#child.kill('SIGKILL')
  }

  #tell(command: string, id: string, rest = ''): void {
    if (this.#ended) throw new DroverError('INTERNAL', 'the pulse client program has ended')
    this.#child.stdin.write(`${command} ${id} ${rest}`.trimEnd().concat('\n'))
  }
}

/** One stream. */
export class Pulse {
  ticking = false
  lost: string | null = null
  readonly #tell: (command: string) => void
  readonly #forget: () => void
  readonly #waiting: ((report: PulseReport) => void)[] = []

  constructor(tell: (command: string) => void, forget: () => void) {
    this.#tell = tell
    this.#forget = forget
  }

  /** Begins a new stretch: what follows is reported without what came before. */
  mark(): void {
    this.#tell('mark')
  }

  report(): Promise<PulseReport> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new DroverError('TIMED_OUT', 'the pulse client did not report')),
        reportDeadlineMs,
      )
      this.#waiting.push((report) => {
        clearTimeout(timer)
        resolve(report)
      })
      this.#tell('report')
    })
  }

  /** Waits until `lines` ticks more have come in (or the connection is lost), then reports on the stretch. */
  async reportAfter(lines: number, deadlineMs = connectDeadlineMs): Promise<PulseReport> {
    let report = await this.report()
    const enough = report.lines + lines
    await waitUntil(`${lines} ticks more`, deadlineMs, async () => {
      report = await this.report()
      return report.lost !== null || report.lines >= enough
    })
    return report
  }

  close(): void {
    this.#tell('close')
    this.#forget()
  }

  /** A message of the client program about this stream. */
  take(message: PulseMessage): void {
    if (message.event === 'ticking') this.ticking = true
    if (message.event === 'lost') this.lost = message.reason
    if (message.event === 'report') this.#waiting.shift()?.(message.report)
  }
}

// A TCP stream from a container's `pulse` service to a client outside the cluster, and what the client saw of it: whether the
// connection and the counter went on unbroken, and how long it heard nothing (the blackout as a user has it).

import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { waitUntil } from '@drover/cli/daemons'
import { DroverError } from '@drover/protocol'

export const pulsePort = 7000

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

const connectDeadlineMs = 15_000
const reportDeadlineMs = 5_000

export class Pulse {
  #child: ChildProcessByStdio<Writable, Readable, null>
  #ticking = false
  #lost: string | null = null
  #reports: ((report: PulseReport) => void)[] = []

  private constructor(child: ChildProcessByStdio<Writable, Readable, null>) {
    this.#child = child
    createInterface({ input: child.stdout }).on('line', (line) => this.#hear(line))
    child.on('exit', () => {
      this.#lost ??= 'the client program ended'
    })
    child.stdin.on('error', () => {})
  }

  /** Connects and waits for the first tick; tries again while the service does not answer yet. */
  static async open(prefix: string[], address: string): Promise<Pulse> {
    return await waitUntil(`the pulse of ${address}`, connectDeadlineMs, async () => {
      const pulse = Pulse.#spawn(prefix, address)
      try {
        await waitUntil(`a tick from ${address}`, reportDeadlineMs, () => pulse.#ticking || pulse.#lost !== null)
        if (pulse.#lost === null) return pulse
        throw new DroverError('TRANSFER_FAILED', pulse.#lost)
      } catch (error) {
        pulse.close()
        throw error
      }
    })
  }

  static #spawn(prefix: string[], address: string): Pulse {
    const program = fileURLToPath(new URL('./pulse-client.js', import.meta.url))
    const [command, ...args] = [...prefix, process.execPath, program, address, String(pulsePort)]
    return new Pulse(spawn(command as string, args, { stdio: ['pipe', 'pipe', 'inherit'], cwd: '/' }))
  }

  /** Begins a new stretch: what follows is reported without what came before. */
  mark(): void {
    this.#child.stdin.write('mark\n')
  }

  report(): Promise<PulseReport> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new DroverError('TIMED_OUT', 'the pulse client did not report')),
        reportDeadlineMs,
      )
      this.#reports.push((report) => {
        clearTimeout(timer)
        resolve(report)
      })
      this.#child.stdin.write('report\n')
    })
  }

  /** Waits until `lines` ticks more have come in (or the connection is lost), then reports on the stretch. */
  async reportAfter(lines: number, deadlineMs = connectDeadlineMs): Promise<PulseReport> {
    const before = (await this.report()).lines
    let report = await this.report()
    await waitUntil(`${lines} ticks more`, deadlineMs, async () => {
      report = await this.report()
      return report.lost !== null || report.lines >= before + lines
    })
    return report
  }

  close(): void {
    this.#child.stdin.end()
    this.#child.kill('SIGKILL')
  }

  #hear(line: string): void {
    const message = JSON.parse(line) as { event: string; reason?: string; report?: PulseReport }
    if (message.event === 'tick') this.#ticking = true
    if (message.event === 'lost') this.#lost = message.reason ?? 'lost'
    if (message.event === 'report' && message.report) this.#reports.shift()?.(message.report)
  }
}

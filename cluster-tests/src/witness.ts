// Bears witness that a container is the same running one as before: that a counter which lives only in the memory of a process
// inside went on, and its init was not started again. With real containers a client outside also holds a TCP connection to
// that process all the while, or hangs up and calls again at the end; simulated ones have no network, so there the counter is read by exec.

import type { Container } from '@drover/protocol'
import type { Lab, Pulse, PulseReport } from '@drover/testkit/lab'

export interface Verdict {
  name: string
  /** Same process, same init, nothing lost. */
  unbroken: boolean
  /** Longest silence that the client saw, minus the usual time between two ticks; null when no client was connected. */
  blackoutMs: number | null
  /** What it saw, for a person. */
  detail: string
}

export class Witness {
  readonly name: string
  readonly #lab: Lab
  readonly #before: Container
  #pulse: Pulse | null
  /** What the process said of itself: its number and its counter. */
  readonly #said: string | null

  private constructor(lab: Lab, before: Container, pulse: Pulse | null, said: string | null) {
    this.name = before.name
    this.#lab = lab
    this.#before = before
    this.#pulse = pulse
    this.#said = said
  }

  /** Begins to watch a running container. */
  static async of(lab: Lab, container: Container, tickMs?: number): Promise<Witness> {
    if (lab.engine === 'simulated') {
      return new Witness(lab, container, null, await askOnce(lab, container.name))
    }
    const pulse = await lab.pulse(container.identity.ipv4, tickMs)
    const report = await pulse.reportAfter(3)
    pulse.mark()
    return new Witness(lab, container, pulse, report.last)
  }

  /** Forgets what it saw so far, so that the next verdict is about what comes now. */
  mark(): void {
    this.#pulse?.mark()
  }

  /** Hangs up: nothing is asked of the container until the verdict, for which the client calls again. */
  leave(): void {
    this.#pulse?.close()
    this.#pulse = null
  }

  /** What has become of the container; `after` is the container as the API shows it now. */
  async verdict(after: Container): Promise<Verdict> {
    const sameInit = after.starts === this.#before.starts && after.startedAtMs === this.#before.startedAtMs
    const restarted = sameInit ? '' : '; its init was started again'
    if (this.#lab.engine === 'simulated') {
      const said = await askOnce(this.#lab, this.name)
      const unbroken = sameInit && counterIn(said) > counterIn(this.#said)
      return {
        name: this.name,
        unbroken,
        blackoutMs: null,
        detail: `counter ${counterIn(this.#said)} → ${counterIn(said)}${restarted}`,
      }
    }
    const watched = this.#pulse !== null
    const pulse = this.#pulse ?? (await this.#lab.pulse(after.identity.ipv4))
    const report = await pulse.reportAfter(watched ? 10 : 3)
    if (!watched) pulse.close()
    const samePid = report.pids.length === 1 && report.pids[0] === pidIn(this.#said)
    return {
      name: this.name,
      unbroken: sameInit && samePid && report.unbroken && counterIn(report.last) > counterIn(this.#said),
      blackoutMs: watched ? report.blackoutMs : null,
      detail: `${describe(report)}; before, pid ${pidIn(this.#said)}${restarted}`,
    }
  }

  close(): void {
    this.#pulse?.close()
  }
}

function describe(report: PulseReport): string {
  if (report.lost !== null) return `connection lost: ${report.lost}`
  const [from, to] = [counterIn(report.first), counterIn(report.last)]
  return `${report.lines} ticks, counter ${from} → ${to}, ${report.skipped} missing, pid ${report.pids.join(', ')}`
}

const pidIn = (line: string | null): number => Number(line?.split(' ')[0] ?? 0)
const counterIn = (line: string | null): number => Number(line?.split(' ')[1] ?? 0)

async function askOnce(lab: Lab, name: string): Promise<string> {
  return (await lab.cli(['exec', name, '--', 'pulse', '--once'])).stdout
}

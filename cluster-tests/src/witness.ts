// Bears witness that a container is the same running one as before: that a counter which lives only in the memory of a process
// inside went on, and its init was not started again. With real containers a client outside also holds a TCP connection to
// that process all the while; simulated ones have no network, so there the counter is read by exec.

import type { Container } from '@drover/protocol'
import type { Lab, Pulse, PulseReport } from '@drover/testkit/lab'

export interface Verdict {
  name: string
  /** Same process, same init, nothing lost. */
  unbroken: boolean
  /** Longest silence that the client saw, minus the usual time between two ticks; null without a network. */
  blackoutMs: number | null
  /** What it saw, for a person. */
  detail: string
}

export class Witness {
  readonly name: string
  readonly #lab: Lab
  readonly #before: Container
  readonly #pulse: Pulse | null
  readonly #counterBefore: number

  private constructor(lab: Lab, before: Container, pulse: Pulse | null, counterBefore: number) {
    this.name = before.name
    this.#lab = lab
    this.#before = before
    this.#pulse = pulse
    this.#counterBefore = counterBefore
  }

  /** Begins to watch a running container. */
  static async of(lab: Lab, container: Container, tickMs?: number): Promise<Witness> {
    if (lab.engine === 'simulated') {
      return new Witness(lab, container, null, await counterOf(lab, container.name))
    }
    const pulse = await lab.pulse(container.identity.ipv4, tickMs)
    const report = await pulse.reportAfter(3)
    pulse.mark()
    return new Witness(lab, container, pulse, counterIn(report.last))
  }

  /** Forgets what it saw so far, so that the next verdict is about what comes now. */
  mark(): void {
    this.#pulse?.mark()
  }

  /** What has become of the container; `after` is the container as the API shows it now. */
  async verdict(after: Container): Promise<Verdict> {
    const sameInit = after.starts === this.#before.starts && after.startedAtMs === this.#before.startedAtMs
    if (this.#pulse === null) {
      const counter = await counterOf(this.#lab, this.name)
      const unbroken = sameInit && counter > this.#counterBefore
      return { name: this.name, unbroken, blackoutMs: null, detail: `counter ${this.#counterBefore} → ${counter}` }
    }
    const report = await this.#pulse.reportAfter(10)
    return {
      name: this.name,
      unbroken: sameInit && report.unbroken && report.pids.length === 1,
      blackoutMs: report.blackoutMs,
      detail: sameInit ? describe(report) : `${describe(report)}; its init was started again`,
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

const counterIn = (line: string | null): number => Number(line?.split(' ')[1] ?? 0)

async function counterOf(lab: Lab, name: string): Promise<number> {
  const outcome = await lab.cli(['exec', name, '--', 'pulse', '--once'])
  return counterIn(outcome.stdout)
}

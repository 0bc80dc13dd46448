// What is counted during a replay, and what becomes of it: one number per figure, and a series for the plot.

import type { Workload } from './trace.ts'

export interface Sample {
  atS: number
  hostsInUse: number
  containers: number
  /** What a perfect packing would use. */
  hostsNeeded: number
  /** Share of the cpu that is free on hosts in use and that a typical large workload can't have. */
  fragmentation: number
  /** Standard deviation of the hosts' utilisation; see the scheduler's LoadMap. */
  imbalance: number
  /** Hosts whose load is above their cores. */
  overloaded: number
  /** Since the beginning. */
  moves: number
  refusals: number
}

export class Measures {
  readonly samples: Sample[] = []
  readonly moves = { consolidation: 0, balance: 0 }
  refusals = 0
  arrivals = 0
  readonly #hosts: number
  #containerS = 0
  #hostS = 0
  #neededS = 0
  #hostsMax = 0
  #overloadS = 0
  #elapsedS = 0
  #imbalanceS = 0
  #fragmentationS = 0

  constructor(hosts: number) {
    this.#hosts = hosts
  }

  /** `forS`: how long it was so. */
  observe(sample: Omit<Sample, 'moves' | 'refusals'>, forS: number, keep: boolean): void {
    this.#elapsedS += forS
    this.#containerS += sample.containers * forS
    this.#hostS += sample.hostsInUse * forS
    this.#neededS += sample.hostsNeeded * forS
    this.#overloadS += sample.overloaded * forS
    this.#imbalanceS += sample.imbalance * forS
    this.#fragmentationS += sample.fragmentation * forS
    if (keep) this.samples.push({ ...sample, moves: this.#allMoves(), refusals: this.refusals })
  }

  sawHostsInUse(count: number): void {
    this.#hostsMax = Math.max(this.#hostsMax, count)
  }

  figures(): Record<string, number> {
    const containerDays = this.#containerS / 86_400
    const over = (sum: number) => (this.#elapsedS === 0 ? 0 : sum / this.#elapsedS)
    return {
      hosts_mean: round(over(this.#hostS), 1),
      hosts_needed_mean: round(over(this.#neededS), 1),
      hosts_max: this.#hostsMax,
      empty_share: round(1 - over(this.#hostS) / this.#hosts, 4),
      fragmentation: round(over(this.#fragmentationS), 4),
      refusals: this.refusals,
      refused_share: round(this.refusals / Math.max(1, this.arrivals), 5),
      imbalance: round(over(this.#imbalanceS), 4),
      overload_minutes: Math.round(this.#overloadS / 60),
      moves: this.#allMoves(),
      moves_per_container_day: round(this.#allMoves() / Math.max(1e-9, containerDays), 4),
      container_days: Math.round(containerDays),
    }
  }

  #allMoves(): number {
    return this.moves.consolidation + this.moves.balance
  }
}

/** The 95th percentile of each amount: a workload that is large, but no exception. */
export function typicalLarge(workloads: readonly Workload[]): { cpuMilli: number; memoryBytes: number } {
  const at = (values: number[]) => values.sort((left, right) => left - right)[Math.floor(0.95 * values.length)] ?? 1
  return {
    cpuMilli: Math.max(1, at(workloads.map(({ cpuMilli }) => cpuMilli))),
    memoryBytes: Math.max(1, at(workloads.map(({ memoryBytes }) => memoryBytes))),
  }
}

const round = (value: number, digits: number): number => Number(value.toFixed(digits))

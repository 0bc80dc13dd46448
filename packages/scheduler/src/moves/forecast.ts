// What a container will use, from what it has used: the recent mean, raised part of the way to a high percentile.
// The mean is exponentially weighted by age (Holt 1957), so that irregular samples count rightly; the percentile makes a
// container with peaks weigh more than its mean (Borg's and Autopilot's argument: plan for the peak of a window).
// Memory is planned at the higher of the two: a processor that is short is slow, memory that is short kills.

import type { Use } from './container-snapshot.ts'

export interface Sample extends Use {
  atMs: number
}

export interface ForecastPolicy {
  /** After this long a sample counts half. */
  halfLifeMs: number
  /** Older samples don't count. */
  windowMs: number
  /** 0…1, by nearest rank. */
  percentile: number
  /** 0: plan for the mean; 1: plan for the percentile. Of cpu only. */
  caution: number
}

export const usualForecastPolicy: ForecastPolicy = {
  halfLifeMs: 30 * 60_000,
  windowMs: 24 * 3_600_000,
  percentile: 0.95,
  caution: 0.5,
}

/** Null when there is no sample in the window. */
export function forecast(samples: readonly Sample[], nowMs: number, policy = usualForecastPolicy): Use | null {
  const recent = samples.filter(({ atMs }) => atMs <= nowMs && nowMs - atMs <= policy.windowMs)
  if (recent.length === 0) return null
  let weights = 0
  let cpu = 0
  let memory = 0
  for (const { atMs, cpuMilli, memoryBytes } of recent) {
    const weight = 2 ** -((nowMs - atMs) / policy.halfLifeMs)
    weights += weight
    cpu += weight * cpuMilli
    memory += weight * memoryBytes
  }
  // All samples so old that their weights vanish: the newest is what there is.
  const newest = recent.reduce((left, right) => (right.atMs >= left.atMs ? right : left))
  const mean = weights > 0 ? { cpuMilli: cpu / weights, memoryBytes: memory / weights } : newest
  const cpuHigh = percentile(
    recent.map(({ cpuMilli }) => cpuMilli),
    policy.percentile,
  )
  const memoryHigh = percentile(
    recent.map(({ memoryBytes }) => memoryBytes),
    policy.percentile,
  )
  return {
    cpuMilli: mean.cpuMilli + policy.caution * Math.max(0, cpuHigh - mean.cpuMilli),
    memoryBytes: Math.max(mean.memoryBytes, memoryHigh),
  }
}

/** Nearest rank: the smallest value that at least `share` of all don't exceed. */
export function percentile(values: readonly number[], share: number): number {
  if (values.length === 0) throw new Error('percentile: of no values')
  const sorted = [...values].sort((left, right) => left - right)
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))]!
}

// What a replay is run with.

import type { PolicyName } from './placer.ts'

export interface ReplaySettings {
  policy: PolicyName
  hosts: number
  host: { cpuMilli: number; memoryBytes: number }
  /** Requests for cpu may add up to so many times a host's cores. */
  overcommit: number
  consolidate: boolean
  rebalance: boolean
  seed: number
}

/** Traces don't say how much of the memory that was asked for is really used; clusters report about so much. */
export const usedMemoryShare = 0.6

/** How often things are looked at and done, in seconds of the replay. */
export const cadence = {
  /** Loads are summed up, and overload is counted. */
  measureS: 300,
  consolidateS: 3600,
  rebalanceS: 900,
  /** Between the samples that a forecast is made from. */
  sampleS: 1800,
  /** Younger containers aren't moved to empty a host: most of them end soon by themselves. */
  matureS: 3600,
  /** One that was moved isn't moved again so soon. */
  restS: 6 * 3600,
} as const

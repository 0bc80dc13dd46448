// How eager a pool's rebalancing is. The defaults move little: a container that runs well where it is should stay there.

import { type MoveModel, usualMoveModel } from './move-cost.ts'

/** Minutes of the UTC day; `from` after `to` spans midnight. */
export interface QuietHours {
  fromMinute: number
  toMinute: number
}

export interface RebalancePolicy {
  /** Balancing begins when the imbalance (standard deviation of utilisation) is above this; Infinity: never for evenness. */
  startAbove: number
  /** …and goes on until it is not above this. The distance between the two is the hysteresis. */
  stopAt: number
  /** A host that is expected to be used to more than this share is relieved, however even the cluster is. */
  hotAbove: number
  /** Shares of a host: a move gains at least this, beyond its price unless it relieves a hot host. See LoadMap.gain. */
  minGain: number
  /** What a second of blackout and a GiB on the wire cost, in the gain's unit. */
  pricePerBlackoutS: number
  pricePerGiB: number
  /** A container that was moved is not moved again for so long, and doesn't go back to the host it left for longer. */
  containerCooldownMs: number
  noReturnMs: number
  /** A host that gave or took a container is left alone for so long, until its loads are measured anew. */
  hostCooldownMs: number
  movesPerHour: number
  urgentMovesPerHour: number
  maxConcurrent: number
  quietHours: readonly QuietHours[]
  /** Memory use (as a share) from which a host is under pressure, and down to which it is relieved. */
  pressureAbove: number
  pressureStopAt: number
  /** So many moves the exact search for the fewest weighs; beyond it the plan is greedy. */
  searchSteps: number
  moveModel: MoveModel
}

const minuteMs = 60_000
const hourMs = 60 * minuteMs

export const usualRebalancePolicy: RebalancePolicy = {
  startAbove: 0.15,
  stopAt: 0.08,
  hotAbove: 0.85,
  minGain: 0.05,
  pricePerBlackoutS: 0.05,
  pricePerGiB: 0.01,
  containerCooldownMs: 6 * hourMs,
  noReturnMs: 24 * hourMs,
  hostCooldownMs: 5 * minuteMs,
  movesPerHour: 30,
  urgentMovesPerHour: 60,
  maxConcurrent: 2,
  quietHours: [],
  pressureAbove: 0.92,
  pressureStopAt: 0.85,
  searchSteps: 50_000,
  moveModel: usualMoveModel,
}

export function isQuiet(quietHours: readonly QuietHours[], nowMs: number): boolean {
  const minute = Math.floor(nowMs / minuteMs) % (24 * 60)
  return quietHours.some(({ fromMinute, toMinute }) =>
    fromMinute <= toMinute ? minute >= fromMinute && minute < toMinute : minute >= fromMinute || minute < toMinute,
  )
}

// What keeps rebalancing calm: cooldowns of containers and hosts, no quick way back, budgets, and how many at once.
// All of it is read off the moves that were made, so that a new leader is bound by what the old one did.

import type { RebalancePolicy } from './rebalance-policy.ts'

export interface PastMove {
  container: string
  from: string
  to: string
  atMs: number
  urgent: boolean
  /** False: others wanted it, so it counts for cooldowns and not against the budget. Default true. */
  budgeted?: boolean
}

export interface MoveHistory {
  /** Of at least the longest of the policy's times. */
  moves: readonly PastMove[]
  /** Moves under way, whoever wanted them. */
  running: number
  /** What the last plan said: balancing has begun and not come to its end. */
  active: boolean
}

const hourMs = 3_600_000

export class Restraint {
  readonly #policy: RebalancePolicy
  readonly #nowMs: number
  readonly #history: MoveHistory
  readonly #lastOfContainer = new Map<string, number>()
  readonly #lastOfHost = new Map<string, number>()
  /** Container → host → when it left it. */
  readonly #left = new Map<string, Map<string, number>>()

  constructor(history: MoveHistory, policy: RebalancePolicy, nowMs: number) {
    this.#policy = policy
    this.#nowMs = nowMs
    this.#history = history
    for (const { container, from, to, atMs } of history.moves) {
      latest(this.#lastOfContainer, container, atMs)
      latest(this.#lastOfHost, from, atMs)
      latest(this.#lastOfHost, to, atMs)
      const left = this.#left.get(container) ?? new Map<string, number>()
      latest(left, from, atMs)
      this.#left.set(container, left)
    }
  }

  /** How many moves may begin now. */
  allowance(kind: 'ordinary' | 'urgent'): number {
    const urgent = kind === 'urgent'
    const recent = this.#history.moves.filter(
      (move) => move.budgeted !== false && move.urgent === urgent && this.#nowMs - move.atMs < hourMs,
    )
    const budget = urgent ? this.#policy.urgentMovesPerHour : this.#policy.movesPerHour
    return Math.max(0, Math.min(budget - recent.length, this.#policy.maxConcurrent - this.#history.running))
  }

  containerRests(container: string): boolean {
    return this.#within(this.#lastOfContainer.get(container), this.#policy.containerCooldownMs)
  }

  hostRests(host: string): boolean {
    return this.#within(this.#lastOfHost.get(host), this.#policy.hostCooldownMs)
  }

  /** It left this host not long ago. */
  wouldReturn(container: string, host: string): boolean {
    return this.#within(this.#left.get(container)?.get(host), this.#policy.noReturnMs)
  }

  #within(atMs: number | undefined, durationMs: number): boolean {
    return atMs !== undefined && this.#nowMs - atMs < durationMs
  }
}

function latest(map: Map<string, number>, key: string, atMs: number): void {
  map.set(key, Math.max(atMs, map.get(key) ?? Number.NEGATIVE_INFINITY))
}

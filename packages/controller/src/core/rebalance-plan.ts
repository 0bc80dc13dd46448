// What rebalancing would do now: each pool by itself, with the cluster's settings, the moves that were made, and the pressures that
// hosts report. Evenness is wanted only in pools that balance or spread; in those that pack, hosts that are hot are relieved.

import type { RebalanceMoveView, RebalancePlanView, RebalanceSettings } from '@drover/protocol'
import {
  type ClusterSnapshot,
  type ContainerSnapshot,
  defaultPool,
  type HostPressure,
  type MoveHistory,
  type RebalanceMove,
  type RebalancePlan,
  type RebalancePolicy,
  rebalance,
  usualRebalancePolicy,
} from '@drover/scheduler'
import { clusterSnapshot } from './cluster-snapshot.ts'
import { containerSnapshots, moveModelOf } from './container-snapshots.ts'
import type { PlannedMove } from './entries.ts'
import { memoryPressures } from './memory-pressures.ts'
import type { Observed } from './observed.ts'
import { policyOf } from './scheduling-policy.ts'
import { type ClusterState, containerByName } from './state.ts'

export const defaultIntervalS = 60

/** By hand: quiet hours, budgets and how many at once don't hold a user back; cooldowns do. */
export type Trigger = 'auto' | 'manual'

export interface PlannedRebalance {
  view: RebalancePlanView
  active: boolean
}

export function rebalancePlan(
  state: ClusterState,
  observed: Observed,
  nowMs: number,
  trigger: Trigger,
): PlannedRebalance {
  const snapshot = clusterSnapshot(state, observed, nowMs)
  const containers = containerSnapshots(state, observed, nowMs).map((each) => stayingPut(state, each))
  const history = historyOf(state)
  const pressures = memoryPressures(state, observed)
  const pools = [...new Set(snapshot.hosts.map(({ pool }) => pool ?? defaultPool))].sort()
  const plans = pools.map((pool) => {
    const part = partOf(snapshot, containers, pressures, pool)
    const plan = rebalance(part, history, rebalancePolicy(state, pool, trigger), nowMs)
    // What one pool begins is under way for the next.
    history.running += plan.moves.length
    return plan
  })
  return { view: merged(plans), active: plans.some(({ active }) => active) }
}

export function rebalancePolicy(state: ClusterState, pool: string, trigger: Trigger): RebalancePolicy {
  const { rebalance: settings, pools } = policyOf(state)
  const even = ['balance', 'spread'].includes(pools[pool]?.policy ?? 'pack')
  const policy = { ...usualRebalancePolicy, ...fromSettings(settings), moveModel: moveModelOf(state) }
  if (!even) policy.startAbove = Number.POSITIVE_INFINITY
  if (trigger === 'auto') return policy
  const unbound = Number.MAX_SAFE_INTEGER
  return { ...policy, quietHours: [], movesPerHour: unbound, urgentMovesPerHour: unbound, maxConcurrent: unbound }
}

/** As the log keeps it. */
export function plannedMovesOf(state: ClusterState, { moves }: RebalancePlanView): PlannedMove[] {
  return moves.map((move) => ({
    container: containerByName(state, move.container)?.id ?? '',
    name: move.container,
    destination: move.to,
    from: move.from,
    reason: `${move.reason}: ${move.detail}; ${priceInWords(move)}`,
    urgent: move.urgent,
  }))
}

/** `about 90 ms of blackout, 12 MiB to send, 0.1 MiB/s written meanwhile` */
function priceInWords({ blackoutMs, bytes, dirtyBytesPerS = 0 }: RebalanceMoveView): string {
  const mebibytes = (count: number) => Number((count / 2 ** 20).toFixed(1))
  const written = dirtyBytesPerS > 0 ? `, ${mebibytes(dirtyBytesPerS)} MiB/s written meanwhile` : ''
  return `about ${Math.round(blackoutMs)} ms of blackout, ${mebibytes(bytes)} MiB to send${written}`
}

export const maxConcurrentMoves = (state: ClusterState): number =>
  policyOf(state).rebalance.maxConcurrent ?? usualRebalancePolicy.maxConcurrent

/** Planning has begun and not come to its end, by the last plan that was kept. */
export function lastRecord(state: ClusterState) {
  let last = null
  for (const record of state.tables.rebalances.values()) if (last === null || record.index > last.index) last = record
  return last
}

export function historyOf(state: ClusterState): MoveHistory & { running: number } {
  const moves = [...state.tables.begunMoves.values()].map(({ rebalancing, ...move }) => ({
    ...move,
    budgeted: rebalancing,
  }))
  let running = 0
  for (const id of state.running) if (state.tables.operations.get(id)!.kind === 'move') running += 1
  return { moves, running, active: lastRecord(state)?.active ?? false }
}

/** Who is to stay, or can't go without being stopped, isn't moved for somebody's comfort. */
export function stayingPut(state: ClusterState, container: ContainerSnapshot): ContainerSnapshot {
  const leave = containerByName(state, container.demand.name)?.spec.scheduling?.leave
  if (!container.movable || leave === undefined || leave === 'live' || leave === 'frozen') return container
  return { ...container, movable: false, fixed: `its policy says ${leave}` }
}

function partOf(
  snapshot: ClusterSnapshot,
  containers: readonly ContainerSnapshot[],
  pressures: readonly HostPressure[],
  pool: string,
) {
  const hosts = snapshot.hosts.filter((host) => (host.pool ?? defaultPool) === pool)
  const names = new Set(hosts.map(({ name }) => name))
  return {
    snapshot: { ...snapshot, hosts },
    containers: containers.filter(({ host }) => names.has(host)),
    pressures: pressures.filter(({ host }) => names.has(host)),
  }
}

function fromSettings(settings: RebalanceSettings): Partial<RebalancePolicy> {
  const { startAbove, stopAt, hotAbove, minGain, movesPerHour, maxConcurrent, quietHours } = settings
  const { containerCooldownS, hostCooldownS } = settings
  const given = { startAbove, stopAt, hotAbove, minGain, movesPerHour, maxConcurrent, quietHours }
  return {
    ...(Object.fromEntries(
      Object.entries(given).filter(([, value]) => value !== undefined),
    ) as Partial<RebalancePolicy>),
    ...(containerCooldownS === undefined ? {} : { containerCooldownMs: containerCooldownS * 1000 }),
    ...(hostCooldownS === undefined ? {} : { hostCooldownMs: hostCooldownS * 1000 }),
  }
}

const verdicts = ['PLANNED', 'HELD', 'NOTHING_WORTHWHILE', 'BALANCED'] as const

function merged(plans: readonly RebalancePlan[]): RebalancePlanView {
  return {
    moves: plans.flatMap(({ moves }) => moves.map(viewOf)),
    held: plans.flatMap(({ held }) => held.map(({ move, why }) => ({ move: viewOf(move), why }))),
    stuck: plans.flatMap(({ stuck }) => stuck),
    imbalanceBefore: Math.max(0, ...plans.map(({ imbalanceBefore }) => imbalanceBefore)),
    imbalanceAfter: Math.max(0, ...plans.map(({ imbalanceAfter }) => imbalanceAfter)),
    verdict: verdicts.find((verdict) => plans.some((plan) => plan.verdict === verdict)) ?? 'BALANCED',
  }
}

const viewOf = ({ cost, ...move }: RebalanceMove): RebalanceMoveView => ({
  ...move,
  blackoutMs: cost.blackoutMs,
  bytes: cost.bytes,
  dirtyBytesPerS: cost.dirtyBytesPerS,
})

// Which containers should be elsewhere, and why: (snapshot, containers, pressures), history, policy, time → plan.
// In order: what is urgent, groups that have drifted, hosts that are too hot, and evenness. The plan is advice; the caller
// carries out `moves` and asks again, because the loads of the next hour are known better in the next hour.

import type { ClusterSnapshot } from '../snapshot.ts'
import { type ContainerSnapshot, useOf } from './container-snapshot.ts'
import { fewestMoves, type Step } from './fewest-moves.ts'
import { groupRepairs } from './group-drift.ts'
import { Layout } from './layout.ts'
import { LoadMap } from './load-map.ts'
import { type MoveCost, moveCost } from './move-cost.ts'
import { isQuiet, type RebalancePolicy } from './rebalance-policy.ts'
import { type MoveHistory, Restraint } from './restraint.ts'
import { type HostPressure, urgentMoves } from './urgent-moves.ts'

export interface RebalanceInput {
  snapshot: ClusterSnapshot
  containers: readonly ContainerSnapshot[]
  /** Hosts that are short of memory now, by their own reports. */
  pressures?: readonly HostPressure[]
}

export type MoveReason = 'MEMORY_PRESSURE' | 'OOM_FROZEN' | 'GROUP_DRIFT' | 'HOT_HOST' | 'IMBALANCE'

export interface RebalanceMove {
  container: string
  from: string
  to: string
  reason: MoveReason
  /** One sentence with the figures, kept in the events. */
  detail: string
  urgent: boolean
  /** Shares of a host: the gap between two hosts that the move closes. 0 for moves that aren't made for evenness. */
  gain: number
  cost: MoveCost
}

export type HoldReason = 'QUIET_HOURS' | 'BUDGET_SPENT' | 'NOWHERE_TO_GO'

export interface RebalancePlan {
  /** To be begun now, in this order. */
  moves: RebalanceMove[]
  /** Found worthwhile, but not now. */
  held: { move: RebalanceMove; why: HoldReason }[]
  /** Should go and can't. */
  stuck: { container: string; detail: string }[]
  imbalanceBefore: number
  /** As forecast, once `moves` are made. */
  imbalanceAfter: number
  /** Hysteresis: hand it back with the next call's history. */
  active: boolean
  verdict: 'BALANCED' | 'PLANNED' | 'HELD' | 'NOTHING_WORTHWHILE'
}

export function rebalance(
  input: RebalanceInput,
  history: MoveHistory,
  policy: RebalancePolicy,
  nowMs: number,
): RebalancePlan {
  const layout = new Layout(input.snapshot, input.containers)
  const loads = loadsOf(layout)
  const imbalanceBefore = loads.imbalance
  const restraint = new Restraint(history, policy, nowMs)
  const urgent = urgentMoves(layout, loads, input.pressures ?? [], policy)
  const moves: RebalanceMove[] = urgent.moves.map(({ container, from, to, reason, detail }) => ({
    ...described(layout, container, from, to, policy),
    reason,
    detail,
    urgent: true,
    gain: 0,
  }))
  const taken = new Set(moves.map(({ container }) => container))
  const repairs = groupRepairs(
    layout,
    loads,
    (container, to) => mayMove(layout, restraint, container, to) && !taken.has(container.demand.name),
  )
  for (const { container, from, to, detail } of repairs.moves) {
    taken.add(container.demand.name)
    const move = described(layout, container, from, to, policy)
    moves.push({ ...move, reason: 'GROUP_DRIFT', detail, urgent: false, gain: 0 })
  }
  const settled = () => loads.imbalance <= policy.stopAt && !someHot(layout, loads, policy)
  const begins = loads.imbalance > policy.startAbove || someHot(layout, loads, policy)
  const goesOn = history.active && loads.imbalance > Math.min(policy.stopAt, policy.startAbove)
  const wanted = begins || (goesOn && Number.isFinite(policy.startAbove))
  const even = wanted ? evened(layout, loads, input, restraint, policy, taken, settled) : []
  moves.push(...even)
  return finish(input, moves, [...urgent.stuck, ...repairs.stuck], restraint, policy, nowMs, {
    imbalanceBefore,
    active: wanted && even.length > 0,
    wanted,
  })
}

/** Hosts that are being emptied or are not heard of are no part of the balance: they have no capacity in it. */
export function loadsOf(layout: Layout): LoadMap {
  const counted = layout.hosts.map(({ ready, cordoned }) => ready && !cordoned)
  const none = { cpuMilli: 0, memoryBytes: 0 }
  return new LoadMap(
    layout.hosts.map(({ capacity }, index) => (counted[index] ? capacity : none)),
    layout.hosts.map((_, index) => {
      const sum = { cpuMilli: 0, memoryBytes: 0 }
      for (const container of layout.on(index)) {
        const use = useOf(container)
        sum.cpuMilli += use.cpuMilli
        sum.memoryBytes += use.memoryBytes
      }
      return counted[index] ? sum : none
    }),
  )
}

function evened(
  layout: Layout,
  loads: LoadMap,
  { containers }: RebalanceInput,
  restraint: Restraint,
  policy: RebalancePolicy,
  taken: ReadonlySet<string>,
  settled: () => boolean,
): RebalanceMove[] {
  const balanced = (host: number) => host >= 0 && layout.hosts[host]!.ready && !layout.hosts[host]!.cordoned
  const movable = containers.filter((container) => {
    const { demand, movable } = container
    const from = layout.whereIs(container)
    if (!movable || taken.has(demand.name) || !balanced(from)) return false
    return !restraint.containerRests(demand.name) && !restraint.hostRests(layout.hosts[from]!.name)
  })
  const targets = layout.hosts.flatMap(({ name }, index) =>
    balanced(index) && !restraint.hostRests(name) ? [index] : [],
  )
  const prices = new Map<ContainerSnapshot, number>()
  const price = (container: ContainerSnapshot) => {
    const known = prices.get(container)
    if (known !== undefined) return known
    const computed = priceOf(moveCost(container, policy.moveModel), policy)
    prices.set(container, computed)
    return computed
  }
  const stepsTo = (hosts: readonly number[]) =>
    fewestMoves({
      layout,
      loads,
      movable,
      targets: hosts,
      allowed: (container, to) => !restraint.wouldReturn(container.demand.name, layout.hosts[to]!.name),
      price,
      minGain: policy.minGain,
      hotAbove: policy.hotAbove,
      settled,
      searchSteps: policy.searchSteps,
    }).steps
  // Where evenness isn't wanted, an empty host is opened only if those in use can't help.
  const inUse = targets.filter((host) => layout.hosts[host]!.containers > 0)
  const packed = Number.isFinite(policy.startAbove) ? [] : stepsTo(inUse)
  const steps = packed.length > 0 ? packed : stepsTo(targets)
  return steps.map((step) => evennessMove(layout, loads, step, policy))
}

function evennessMove(layout: Layout, loads: LoadMap, step: Step, policy: RebalancePolicy): RebalanceMove {
  const { container, from, to, gain, use } = step
  const source = loads.utilisation(from)
  const target = loads.utilisation(to)
  const hot = source > policy.hotAbove
  const move = described(layout, container, from, to, policy)
  layout.move(container, to)
  loads.move(use, from, to)
  const after = `${percent(loads.utilisation(from))} and ${percent(loads.utilisation(to))}`
  const detail =
    `${move.from} is used to ${percent(source)}, ${move.to} to ${percent(target)}; ` +
    `with ${move.container} moved it is ${after}`
  return { ...move, reason: hot ? 'HOT_HOST' : 'IMBALANCE', detail, urgent: false, gain }
}

function finish(
  input: RebalanceInput,
  wanted: RebalanceMove[],
  stuck: { container: string; detail: string }[],
  restraint: Restraint,
  policy: RebalancePolicy,
  nowMs: number,
  state: { imbalanceBefore: number; active: boolean; wanted: boolean },
): RebalancePlan {
  const quiet = isQuiet(policy.quietHours, nowMs)
  const urgentLeft = restraint.allowance('urgent')
  const ordinaryLeft = restraint.allowance('ordinary')
  const moves: RebalanceMove[] = []
  const held: RebalancePlan['held'] = []
  for (const move of wanted) {
    const urgents = moves.filter(({ urgent }) => urgent).length
    const ordinary = moves.length - urgents
    if (!move.urgent && quiet) held.push({ move, why: 'QUIET_HOURS' })
    else if (
      moves.length >= (move.urgent ? urgentLeft : Math.max(0, ordinaryLeft - urgents)) ||
      (!move.urgent && ordinary >= ordinaryLeft)
    ) {
      held.push({ move, why: 'BUDGET_SPENT' })
    } else moves.push(move)
  }
  return {
    moves,
    held,
    stuck,
    imbalanceBefore: state.imbalanceBefore,
    imbalanceAfter: imbalanceWith(input, moves),
    active: state.active,
    verdict: moves.length > 0 ? 'PLANNED' : held.length > 0 ? 'HELD' : state.wanted ? 'NOTHING_WORTHWHILE' : 'BALANCED',
  }
}

function imbalanceWith({ snapshot, containers }: RebalanceInput, moves: readonly RebalanceMove[]): number {
  const layout = new Layout(snapshot, containers)
  const loads = loadsOf(layout)
  const byName = new Map(containers.map((container) => [container.demand.name, container]))
  for (const { container, from, to } of moves) {
    loads.move(useOf(byName.get(container)!), layout.indexOf(from), layout.indexOf(to))
  }
  return loads.imbalance
}

function described(layout: Layout, container: ContainerSnapshot, from: number, to: number, policy: RebalancePolicy) {
  return {
    container: container.demand.name,
    from: layout.hosts[from]!.name,
    to: layout.hosts[to]!.name,
    cost: moveCost(container, policy.moveModel),
  }
}

function mayMove(layout: Layout, restraint: Restraint, { demand, movable }: ContainerSnapshot, to: number): boolean {
  const host = layout.hosts[to]!.name
  if (!movable || restraint.containerRests(demand.name)) return false
  return !restraint.wouldReturn(demand.name, host) && !restraint.hostRests(host)
}

function someHot(layout: Layout, loads: LoadMap, policy: RebalancePolicy): boolean {
  return layout.hosts.some((_, index) => loads.utilisation(index) > policy.hotAbove)
}

function priceOf({ blackoutMs, bytes }: MoveCost, policy: RebalancePolicy): number {
  return (policy.pricePerBlackoutS * blackoutMs) / 1000 + (policy.pricePerGiB * bytes) / 2 ** 30
}

const percent = (share: number): string => `${Math.round(100 * share)} %`

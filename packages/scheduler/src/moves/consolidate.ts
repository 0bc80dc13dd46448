// Empties whole hosts, so that they can be powered down or handed back: a host that nobody is on costs nothing, one that is
// half used costs all. A host is emptied only if all of its containers fit on others in use; half an emptied host is a loss.
// Hosts are tried from the one that is quickest to empty, so that few moves free many hosts.

import type { ClusterSnapshot } from '../snapshot.ts'
import { type ContainerSnapshot, compareNames } from './container-snapshot.ts'
import { Layout } from './layout.ts'
import type { MoveModel } from './move-cost.ts'
import { type MoveCost, moveCost } from './move-cost.ts'

export interface ConsolidationPolicy {
  /** Empty hosts that are kept ready for what may come. */
  spareHosts: number
  /** No host is filled beyond this share of its dominant resource. */
  fillTo: number
  maxMoves: number
  /** A host is emptied only if at most this share of it is in use: fuller ones cost more moves than they are worth. */
  emptyBelow: number
  /** Hosts tried in one call. */
  maxTried: number
  /** What is done with a host once it is empty; carried out by the caller. */
  afterwards: 'power-down' | 'hand-back' | 'keep'
  moveModel: MoveModel
}

export interface EmptiedHost {
  host: string
  moves: { container: string; to: string; cost: MoveCost }[]
  afterwards: ConsolidationPolicy['afterwards']
  reason: string
}

export interface ConsolidationPlan {
  /** In this order; each stands by itself, given those before it. */
  emptied: EmptiedHost[]
  /** Empty already and not needed as a spare. */
  idle: string[]
  /** Hosts that were tried and can't be emptied. */
  kept: { host: string; reason: string }[]
  hostsBefore: number
  hostsAfter: number
}

/** `rests`: containers and hosts that must not be part of it now (cooldowns). */
export function consolidate(
  snapshot: ClusterSnapshot,
  containers: readonly ContainerSnapshot[],
  policy: ConsolidationPolicy,
  rests: { containers: ReadonlySet<string>; hosts: ReadonlySet<string> } = { containers: new Set(), hosts: new Set() },
): ConsolidationPlan {
  const layout = new Layout(snapshot, containers)
  const usable = layout.hosts.map(({ ready, cordoned }) => ready && !cordoned)
  const inUse = (host: number) => layout.hosts[host]!.containers > 0
  const empty = layout.hosts.flatMap((host, index) => (usable[index] && !inUse(index) ? [host.name] : []))
  const plan: ConsolidationPlan = {
    emptied: [],
    idle: policy.spareHosts < empty.length ? empty.slice(policy.spareHosts) : [],
    kept: [],
    hostsBefore: layout.hosts.filter((_, index) => inUse(index)).length,
    hostsAfter: 0,
  }
  const finished = new Set<number>()
  let moves = 0
  const tried = quickestFirst(layout, policy, rests).slice(0, policy.maxTried)
  for (const host of tried) {
    // It may have been filled by the ones before it.
    if (layout.fullness(host) > policy.emptyBelow) continue
    const into = (other: number) =>
      usable[other]! && !finished.has(other) && inUse(other) && !rests.hosts.has(layout.hosts[other]!.name)
    const outcome = emptyOut(layout, host, into, policy, rests.containers, policy.maxMoves - moves)
    const { name } = layout.hosts[host]!
    if (typeof outcome === 'string') plan.kept.push({ host: name, reason: outcome })
    else {
      finished.add(host)
      moves += outcome.length
      const reason = `${name} is used to ${outcome.share}; its ${outcome.length} containers fit on hosts in use`
      plan.emptied.push({ host: name, moves: outcome.moves, afterwards: policy.afterwards, reason })
    }
  }
  plan.hostsAfter = layout.hosts.filter((_, index) => inUse(index)).length
  return plan
}

function quickestFirst(layout: Layout, policy: ConsolidationPolicy, rests: { hosts: ReadonlySet<string> }): number[] {
  const durations = layout.hosts.map((_, host) => {
    let sum = 0
    for (const container of layout.on(host)) sum += moveCost(container, policy.moveModel).durationMs
    return sum
  })
  return layout.hosts
    .map((_, host) => host)
    .filter((host) => {
      const { containers, name } = layout.hosts[host]!
      // Containers that the caller didn't list can't be moved by this plan.
      const known = layout.on(host).size === containers && containers > 0
      return known && !rests.hosts.has(name) && layout.fullness(host) <= policy.emptyBelow
    })
    .sort((left, right) => durations[left]! - durations[right]! || left - right)
}

/** Moves everything off `host` in `layout`, or, when that can't be done, nothing, and says why. */
function emptyOut(
  layout: Layout,
  host: number,
  into: (host: number) => boolean,
  policy: ConsolidationPolicy,
  resting: ReadonlySet<string>,
  movesLeft: number,
): { moves: EmptiedHost['moves']; length: number; share: string } | string {
  const leaving = [...layout.on(host)].sort(
    (left, right) =>
      layout.sizeOn(right, host) - layout.sizeOn(left, host) || compareNames(left.demand.name, right.demand.name),
  )
  if (leaving.length > movesLeft) return `${leaving.length} moves are more than the ${movesLeft} that are left`
  const stays = leaving.find(({ movable, demand }) => !movable || resting.has(demand.name))
  if (stays) {
    const why = stays.movable ? 'it was moved not long ago' : (stays.fixed ?? 'it can’t be moved')
    return `${stays.demand.name} stays: ${why}`
  }
  const share = `${Math.round(100 * layout.fullness(host))} %`
  const moves: EmptiedHost['moves'] = []
  const moved: ContainerSnapshot[] = []
  for (const container of leaving) {
    const to = layout.bestFit(
      container,
      (other) => other !== host && into(other) && layout.fullness(other, container) <= policy.fillTo,
    )
    if (to < 0) {
      for (const back of moved) layout.move(back, host)
      return `no other host in use can take ${container.demand.name}`
    }
    layout.move(container, to)
    moved.push(container)
    moves.push({
      container: container.demand.name,
      to: layout.hosts[to]!.name,
      cost: moveCost(container, policy.moveModel),
    })
  }
  return { moves, length: moves.length, share }
}

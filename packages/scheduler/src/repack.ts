// Emptying hosts of a packed cluster, where what is free lies about in holes that are too small for anything. The host that
// holds least is emptied in steps, each of which can be carried out by itself: some of its containers go to another host, and
// smaller ones come back for them, so that the other host is fuller and this one emptier (an ejection chain, Glover 1996).
// When the last of them fit nowhere, two other hosts swap a container to make one hole of two. A host that can't be emptied
// is left as it was. Containers with a group, devices or addresses stay where they are: their rules are not about space.

import { natureRefusal } from './constraints.ts'
import { conditionRefusal, poolOf } from './feasible.ts'
import { bestExchange, bestSwap, type RepackContainer, type RepackHost, sizeWeights } from './repack-steps.ts'
import { demandVector, hostVectors } from './resource-vector.ts'
import type { ClusterSnapshot, Constraints, HostSnapshot, PlacedContainer } from './snapshot.ts'

/** Steps until a host counts as one that can't be emptied. */
const maxSteps = 400
/** Hosts that couldn't be emptied until the rest isn't tried. */
const maxFailures = 12

export interface RepackMove {
  container: string
  from: string
  to: string
}

export interface RepackPlan {
  /** In order: each has its room once those before it are done. */
  moves: RepackMove[]
  /** Hosts that have no container left. */
  emptied: string[]
}

export interface RepackOptions {
  /** Stop when so many hosts are emptied. Default: as many as can be. */
  maxEmptied?: number
  /** No plan with more moves. Default: no limit. */
  maxMoves?: number
}

export function repack(snapshot: ClusterSnapshot, options: RepackOptions = {}): RepackPlan {
  const hosts = repackHosts(snapshot)
  const weights = sizeWeights(hosts)
  const plan: RepackPlan = { moves: [], emptied: [] }
  const failed = new Set<RepackHost>()
  while (plan.emptied.length < (options.maxEmptied ?? Infinity) && failed.size < maxFailures) {
    const victim = leastLoaded(hosts, weights, failed)
    if (!victim) break
    const before = hosts.map(({ containers, free }) => ({ containers: [...containers], free: free.slice() }))
    const moves = empty(victim, hosts, weights)
    if (moves && plan.moves.length + moves.length <= (options.maxMoves ?? Infinity)) {
      plan.moves.push(...moves)
      plan.emptied.push(victim.name)
      continue
    }
    failed.add(victim)
    for (const [index, host] of hosts.entries()) Object.assign(host, before[index]!, { sets: new Map() })
  }
  return plan
}

/** All its moves, or null when some container has to stay. */
function empty(victim: RepackHost, hosts: readonly RepackHost[], weights: Float64Array): RepackMove[] | null {
  const moves: RepackMove[] = []
  const others = hosts.filter((host) => host !== victim && host.containers.length > 0)
  for (let steps = 0; victim.containers.length > 0; steps++) {
    if (steps >= maxSteps) return null
    const exchange = bestExchange(victim, others, weights)
    if (exchange) {
      for (const container of exchange.back) move(container, exchange.other, victim, moves)
      for (const container of exchange.out) move(container, victim, exchange.other, moves)
      continue
    }
    const swap = bestSwap(victim, others)
    if (!swap) return null
    // By way of the host that is being emptied, which has the room.
    move(swap.large, swap.left, victim, moves)
    move(swap.small, swap.right, swap.left, moves)
    move(swap.large, victim, swap.right, moves)
    move(swap.last, victim, swap.left, moves)
  }
  return moves
}

function move(container: RepackContainer, from: RepackHost, to: RepackHost, moves: RepackMove[]): void {
  from.sets.clear()
  to.sets.clear()
  from.containers.splice(from.containers.indexOf(container), 1)
  to.containers.push(container)
  for (let column = 0; column < container.vector.length; column++) {
    from.free[column]! += container.vector[column]!
    to.free[column]! -= container.vector[column]!
  }
  moves.push({ container: container.name, from: from.name, to: to.name })
}

function leastLoaded(
  hosts: readonly RepackHost[],
  weights: Float64Array,
  failed: ReadonlySet<RepackHost>,
): RepackHost | null {
  let least: RepackHost | null = null
  let leastLoad = Infinity
  for (const host of hosts) {
    if (host.containers.length === 0 || host.pinned || failed.has(host)) continue
    const load = host.containers.reduce((sum, { vector }) => sum + sizeOf(vector, weights), 0)
    if (load < leastLoad) {
      least = host
      leastLoad = load
    }
  }
  return least
}

function sizeOf(vector: Float64Array, weights: Float64Array): number {
  return vector.reduce((sum, amount, column) => sum + amount * weights[column]!, 0)
}

function repackHosts(snapshot: ClusterSnapshot): RepackHost[] {
  const placed = new Map<string, PlacedContainer[]>()
  for (const each of snapshot.containers ?? []) {
    const there = placed.get(each.host)
    if (there) there.push(each)
    else placed.set(each.host, [each])
  }
  const takes = hostTest(snapshot.hosts)
  const usable = snapshot.hosts.filter((host) => conditionRefusal(host, { live: true }) === null)
  return usable.map((host): RepackHost => {
    const { capacity, requested } = hostVectors(host, poolOf(host, snapshot.pools ?? {}))
    const containers = placed.get(host.name) ?? []
    const free = capacity.map((amount, column) => amount - requested[column]!)
    const movable = containers.filter(isMovable)
    return {
      name: host.name,
      capacity,
      free,
      containers: movable.map(({ demand }) => ({
        name: demand.name,
        vector: demandVector(demand),
        constraints: demand.constraints,
        excluded: demand.excluded,
      })),
      sets: new Map(),
      // Something on it stays: it can take and give, but not be emptied.
      pinned: movable.length < host.containers,
      takes: (container) => !container.excluded.has(host.name) && takes(host, container.constraints),
    }
  })
}

function isMovable({ demand, movable }: PlacedContainer): boolean {
  return movable && demand.host === null && !demand.group && !demand.constraints?.devices && !demand.listens
}

/** What a kind of constraint says of a host is worked out once. */
function hostTest(
  hosts: readonly HostSnapshot[],
): (host: HostSnapshot, constraints: Constraints | undefined) => boolean {
  const known = new Map<Constraints | undefined, Map<HostSnapshot, boolean>>()
  const uniform = hosts.every(({ pool, taints }) => pool === undefined && !taints?.length)
  return (host, constraints) => {
    if (constraints === undefined && uniform) return true
    let kind = known.get(constraints)
    if (!kind) {
      kind = new Map()
      known.set(constraints, kind)
    }
    let answer = kind.get(host)
    if (answer === undefined) {
      answer = natureRefusal(host, constraints) === null
      kind.set(host, answer)
    }
    return answer
  }
}

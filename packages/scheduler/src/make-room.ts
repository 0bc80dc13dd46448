// Room for a demand that fits nowhere as things are: which containers of no higher priority would have to move, and where to.
// Moving comes first and harms nobody; only when that isn't enough, and the caller allows it, containers of lower priority
// are stopped. The plan is data: nothing moves here.

import { refusalOf, trialOf } from './feasible.ts'
import { place } from './place.ts'
import { withoutPlaced, withPlaced } from './placed.ts'
import { dominantShareOf } from './resource-vector.ts'
import type { ClusterSnapshot, Demand, PlacedContainer } from './snapshot.ts'

/** Hosts on which room is planned; each costs a placement per container that would move. */
const maxHostsTried = 64
/** More moves for one demand are worse than another machine. */
const defaultMaxMoves = 8

export interface RoomPlan {
  /** Where the demand goes then. */
  host: string
  /** In order; each has its room when those before it are done. */
  moves: { container: string; from: string; to: string }[]
  /** Only when stopping is allowed, and moves weren't enough. */
  stopped: string[]
  reason: string
}

export interface RoomOptions {
  allowStopping?: boolean
  maxMoves?: number
}

/** The plan that stops the fewest, then moves the fewest, then moves the least memory; null: there is none. */
export function makeRoom(
  snapshot: ClusterSnapshot,
  demand: Demand,
  seed: number,
  options: RoomOptions = {},
): RoomPlan | null {
  const there = place(snapshot, demand, seed)
  if (there.host !== null) return { host: there.host, moves: [], stopped: [], reason: there.placement.reason }
  const plans = candidates(snapshot, demand).flatMap((host) => planOn(host, snapshot, demand, seed, options) ?? [])
  plans.sort(
    (left, right) =>
      left.plan.stopped.length - right.plan.stopped.length ||
      left.plan.moves.length - right.plan.moves.length ||
      left.movedBytes - right.movedBytes ||
      (left.plan.host < right.plan.host ? -1 : 1),
  )
  return plans[0]?.plan ?? null
}

/** Hosts that would take it if what may go had gone; those with the least in the way first. */
function candidates(snapshot: ClusterSnapshot, demand: Demand): string[] {
  const found: { host: string; inTheWay: number }[] = []
  for (const host of snapshot.hosts) {
    const going = mayGo(snapshot, host.name, demand)
    if (going.length === 0) continue
    const without = going.reduce((state, each) => withoutPlaced(state, host.name, each.demand), snapshot)
    const emptied = without.hosts.find(({ name }) => name === host.name)!
    if (refusalOf(emptied, demand, trialOf(without, demand)) === null) {
      found.push({ host: host.name, inTheWay: going.length })
    }
  }
  found.sort((left, right) => left.inTheWay - right.inTheWay || (left.host < right.host ? -1 : 1))
  return found.slice(0, maxHostsTried).map(({ host }) => host)
}

function mayGo(snapshot: ClusterSnapshot, host: string, demand: Demand): PlacedContainer[] {
  const priority = demand.priority ?? 0
  return (snapshot.containers ?? []).filter(
    (each) => each.host === host && (each.demand.priority ?? 0) <= priority && each.demand.host === null,
  )
}

interface Costed {
  plan: RoomPlan
  movedBytes: number
}

function planOn(
  host: string,
  snapshot: ClusterSnapshot,
  demand: Demand,
  seed: number,
  { allowStopping = false, maxMoves = defaultMaxMoves }: RoomOptions,
): Costed | null {
  const plan: RoomPlan = { host, moves: [], stopped: [], reason: '' }
  let state = snapshot
  let movedBytes = 0
  let left = mayGo(snapshot, host, demand)
  while (!fits(state, host, demand)) {
    const next = nextToGo(state, host, demand, left)
    if (!next) return null
    left = left.filter((each) => each !== next)
    const to = plan.moves.length < maxMoves ? destination(state, next, seed) : null
    if (to !== null) {
      plan.moves.push({ container: next.demand.name, from: host, to })
      movedBytes += next.demand.requests.memoryBytes
      state = withPlaced(withoutPlaced(state, host, next.demand), to, next.demand)
    } else if (allowStopping && (next.demand.priority ?? 0) < (demand.priority ?? 0)) {
      plan.stopped.push(next.demand.name)
      state = withoutPlaced(state, host, next.demand)
    }
  }
  plan.reason = describe(plan, demand)
  return { plan, movedBytes }
}

function fits(state: ClusterSnapshot, host: string, demand: Demand): boolean {
  const here = state.hosts.find(({ name }) => name === host)!
  return refusalOf(here, demand, trialOf(state, demand)) === null
}

/** The lowest priority; in it the smallest whose leaving is enough, else the largest. */
function nextToGo(
  state: ClusterSnapshot,
  host: string,
  demand: Demand,
  left: readonly PlacedContainer[],
): PlacedContainer | null {
  const lowest = Math.min(...left.map((each) => each.demand.priority ?? 0))
  const { capacity } = state.hosts.find(({ name }) => name === host)!
  const bySize = left
    .filter((each) => (each.demand.priority ?? 0) === lowest)
    .map((each) => ({ each, size: dominantShareOf(each.demand.requests, capacity) }))
    .sort((one, other) => one.size - other.size || (one.each.demand.name < other.each.demand.name ? -1 : 1))
  const enough = bySize.find(({ each }) => fits(withoutPlaced(state, host, each.demand), host, demand))
  return (enough ?? bySize.at(-1))?.each ?? null
}

function destination(state: ClusterSnapshot, { demand, host, movable }: PlacedContainer, seed: number): string | null {
  if (!movable) return null
  const without = withoutPlaced(state, host, demand)
  return place(without, { ...demand, excluded: new Set([...demand.excluded, host]), live: true }, seed).host
}

function describe({ host, moves, stopped }: RoomPlan, { name }: Demand): string {
  const away = moves.map(({ container, to }) => `${container} moves to ${to}`)
  const ended = stopped.map((container) => `${container} is stopped`)
  return `${name} fits on ${host} once ${[...away, ...ended].join(', ')}`
}

// Room for a demand that fits nowhere as things are: which containers of no higher priority would have to move, and where to.
// Moving comes first and harms nobody. Only when no moves within the bound are enough, containers of a lower priority that may be
// stopped are (stop-for-room.ts). The plan is data: nothing moves here.

import { refusalOf, trialOf } from './feasible.ts'
import { place } from './place.ts'
import { hostWithout, withoutPlaced, withPlaced } from './placed.ts'
import { dominantShareOf } from './resource-vector.ts'
import type { ClusterSnapshot, Demand, PlacedContainer } from './snapshot.ts'
import { type Clearing, stopForRoom } from './stop-for-room.ts'

/** Hosts on which room is planned; each costs a placement per container that would move. */
const maxHostsTried = 64
/** More moves for one demand are worse than another machine. */
const defaultMaxMoves = 8

export interface RoomPlan {
  /** Where the demand goes then. */
  host: string
  /** In order; each has its room when those before it are done. */
  moves: Clearing['moves']
  /** After the moves, and only when no moves alone are enough. */
  stopped: { container: string; priority: number }[]
  reason: string
}

export interface RoomOptions {
  maxMoves?: number
}

/**
 * Fewest moves, then the least memory moved; when moves won't do, who is stopped is as unimportant as can be, then as few as can be, and
 * others may move besides. null: there is no plan.
 */
export function makeRoom(
  snapshot: ClusterSnapshot,
  demand: Demand,
  seed: number,
  { maxMoves = defaultMaxMoves }: RoomOptions = {},
): RoomPlan | null {
  const there = place(snapshot, demand, seed)
  if (there.host !== null) return { host: there.host, moves: [], stopped: [], reason: there.placement.reason }
  const inTheWay = goersByHost(snapshot, demand)
  const clear = (state: ClusterSnapshot, host: string, goers: readonly PlacedContainer[]) =>
    clearByMoving(state, host, demand, goers, seed, maxMoves)
  const plans = candidates(snapshot, demand, inTheWay).flatMap((host) => {
    const clearing = clear(snapshot, host, inTheWay.get(host)!)
    return clearing === null ? [] : [{ host, ...clearing }]
  })
  plans.sort(
    (left, right) =>
      left.moves.length - right.moves.length || left.movedBytes - right.movedBytes || (left.host < right.host ? -1 : 1),
  )
  const best = plans[0] ? { ...plans[0], stopped: [] } : stopForRoom(snapshot, demand, inTheWay, clear)
  if (best === null) return null
  const stopped = best.stopped.map((each) => ({ container: each.demand.name, priority: each.demand.priority ?? 0 }))
  const plan = { host: best.host, moves: best.moves, stopped }
  return { ...plan, reason: describe(plan, demand) }
}

/** Who may go for it, by host. */
function goersByHost(snapshot: ClusterSnapshot, demand: Demand): Map<string, PlacedContainer[]> {
  const priority = demand.priority ?? 0
  const byHost = new Map<string, PlacedContainer[]>()
  for (const each of snapshot.containers ?? []) {
    if ((each.demand.priority ?? 0) > priority || each.demand.host !== null) continue
    const there = byHost.get(each.host)
    if (there) there.push(each)
    else byHost.set(each.host, [each])
  }
  return byHost
}

/** Hosts that would take it if what can be moved had gone; those with the least in the way first. */
function candidates(
  snapshot: ClusterSnapshot,
  demand: Demand,
  inTheWay: ReadonlyMap<string, readonly PlacedContainer[]>,
): string[] {
  const found: { host: string; inTheWay: number }[] = []
  for (const host of snapshot.hosts) {
    const going = (inTheWay.get(host.name) ?? []).filter(({ movable }) => movable)
    if (going.length === 0) continue
    const emptied = going.reduce((state, each) => hostWithout(state, each.demand), host)
    // Members of its own group that leave count as well.
    const trial = trialOf(
      { ...snapshot, hosts: snapshot.hosts.map((each) => (each === host ? emptied : each)) },
      demand,
    )
    if (refusalOf(emptied, demand, trial) === null) found.push({ host: host.name, inTheWay: going.length })
  }
  found.sort((left, right) => left.inTheWay - right.inTheWay || (left.host < right.host ? -1 : 1))
  return found.slice(0, maxHostsTried).map(({ host }) => host)
}

function clearByMoving(
  snapshot: ClusterSnapshot,
  host: string,
  demand: Demand,
  goers: readonly PlacedContainer[],
  seed: number,
  maxMoves: number,
): Clearing | null {
  const clearing: Clearing = { moves: [], movedBytes: 0 }
  let state = snapshot
  let left = goers.filter(({ movable }) => movable)
  while (!fits(state, host, demand)) {
    const next = clearing.moves.length < maxMoves ? nextToGo(state, host, demand, left) : null
    if (!next) return null
    left = left.filter((each) => each !== next)
    const to = destination(state, next, seed)
    if (to === null) continue
    clearing.moves.push({ container: next.demand.name, from: host, to })
    clearing.movedBytes += next.demand.requests.memoryBytes
    state = withPlaced(withoutPlaced(state, host, next.demand), to, next.demand)
  }
  return clearing
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

function destination(state: ClusterSnapshot, { demand, host }: PlacedContainer, seed: number): string | null {
  const without = withoutPlaced(state, host, demand)
  return place(without, { ...demand, excluded: new Set([...demand.excluded, host]), live: true }, seed).host
}

function describe({ host, moves, stopped }: Omit<RoomPlan, 'reason'>, { name }: Demand): string {
  const away = moves.map(({ container, to }) => `${container} moves to ${to}`)
  const ended = stopped.map(({ container, priority }) => `${container} (priority ${priority}) is stopped`)
  return `${name} fits on ${host} once ${[...away, ...ended].join(', ')}`
}

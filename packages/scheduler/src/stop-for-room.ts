// Room by stopping, where no moves are enough: only containers of a strictly lower priority that may be stopped, and of those as in
// kube-scheduler's preemption the least important first: the highest priority among the stopped is as low as can be, then they are as few as
// can be, then their priorities add up to the least. What can still move instead of being stopped, moves. Stopping frees no disk.
// https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/

import { refusalOf, type Trial, trialOf } from './feasible.ts'
import { hostWithout, hostWithStopped, withStopped } from './placed.ts'
import { dominantShareOf } from './resource-vector.ts'
import type { ClusterSnapshot, Demand, HostSnapshot, PlacedContainer } from './snapshot.ts'

/** Hosts on which every set is looked at: those where the least important would do. */
const maxHosts = 16
/** Of one host's containers, so many give at most 1,023 sets; of more, the largest are taken until it fits, and spared again if they can be. */
const maxSearched = 10

/** The moves that make room on one host. */
export interface Clearing {
  moves: { container: string; from: string; to: string }[]
  movedBytes: number
}

export interface Stopping extends Clearing {
  host: string
  stopped: PlacedContainer[]
}

type Clear = (state: ClusterSnapshot, host: string, goers: readonly PlacedContainer[]) => Clearing | null

export function stopForRoom(
  snapshot: ClusterSnapshot,
  demand: Demand,
  inTheWay: ReadonlyMap<string, readonly PlacedContainer[]>,
  clear: Clear,
): Stopping | null {
  const trial = trialOf(snapshot, demand)
  if (trial.overQuota !== null) return null
  const found = snapshot.hosts.flatMap((host) => {
    const site = { snapshot, demand, trial, host, goers: inTheWay.get(host.name) ?? [], clear }
    const victims = leastImportant(site)
    return victims === null ? [] : [{ site, victims, priority: highest(victims) }]
  })
  found.sort((left, right) => left.priority - right.priority || left.victims.length - right.victims.length)
  const plans = found.slice(0, maxHosts).flatMap(({ site, victims }) => fewest(site, victims) ?? [])
  return plans.sort(compare)[0] ?? null
}

interface Site {
  snapshot: ClusterSnapshot
  demand: Demand
  trial: Trial
  host: HostSnapshot
  goers: readonly PlacedContainer[]
  clear: Clear
}

/** All up to the lowest priority at which stopping all of them would do, largest first; null: not even stopping all would. */
function leastImportant(site: Site): PlacedContainer[] | null {
  const { capacity } = site.host
  const size = ({ demand }: PlacedContainer) => dominantShareOf(demand.requests, capacity)
  const victims = site.goers
    .filter((each) => each.stoppable === true && priorityOf(each) < (site.demand.priority ?? 0))
    .sort((left, right) => size(right) - size(left) || (left.demand.name < right.demand.name ? -1 : 1))
  const levels = [...new Set(victims.map(priorityOf))].sort((left, right) => left - right)
  for (const level of levels) {
    const upTo = victims.filter((each) => priorityOf(each) <= level)
    if (clearing(site, upTo) !== null) return upTo
  }
  return null
}

function fewest(site: Site, victims: readonly PlacedContainer[]): Stopping | null {
  if (victims.length > maxSearched) return spared(site, victims)
  for (let count = 1; count <= victims.length; count += 1) {
    const plans = subsets(victims, count).flatMap((stopped) => planFor(site, stopped) ?? [])
    if (plans.length > 0) return plans.sort(compare)[0]!
  }
  return null
}

/** The largest until it fits; then whoever needn't be stopped isn't, the most important first. */
function spared(site: Site, victims: readonly PlacedContainer[]): Stopping | null {
  const needed = victims.findIndex((_, index) => clearing(site, victims.slice(0, index + 1)) !== null)
  if (needed < 0) return null
  let stopped = victims.slice(0, needed + 1)
  for (const each of [...stopped].sort((left, right) => priorityOf(right) - priorityOf(left))) {
    const without = stopped.filter((other) => other !== each)
    if (clearing(site, without) !== null) stopped = without
  }
  return planFor(site, stopped)
}

function planFor(site: Site, stopped: PlacedContainer[]): Stopping | null {
  const cleared = clearing(site, stopped)
  return cleared === null ? null : { host: site.host.name, stopped, ...cleared }
}

/** What has to move besides when these are stopped; null: that won't do. */
function clearing(site: Site, stopped: readonly PlacedContainer[]): Clearing | null {
  const { snapshot, demand, trial, host, goers, clear } = site
  const freed = stopped.reduce((state, each) => hostWithStopped(state, each.demand), host)
  if (refusalOf(freed, demand, trial) === null) return { moves: [], movedBytes: 0 }
  const others = goers.filter((each) => each.movable && !stopped.includes(each))
  if (others.length === 0) return null
  // Cheap to know, and mostly the answer: not even if all others went.
  const emptied = others.reduce((state, each) => hostWithout(state, each.demand), freed)
  const hosts = snapshot.hosts.map((each) => (each === host ? emptied : each))
  if (refusalOf(emptied, demand, trialOf({ ...snapshot, hosts }, demand)) !== null) return null
  const state = stopped.reduce((before, each) => withStopped(before, host.name, each.demand), snapshot)
  return clear(state, host.name, others)
}

function* combinations(
  victims: readonly PlacedContainer[],
  count: number,
  from = 0,
): Generator<PlacedContainer[], void, void> {
  if (count === 0) {
    yield []
    return
  }
  for (let index = from; index <= victims.length - count; index += 1) {
    for (const rest of combinations(victims, count - 1, index + 1)) yield [victims[index]!, ...rest]
  }
}

const subsets = (victims: readonly PlacedContainer[], count: number) => [...combinations(victims, count)]

function compare(left: Stopping, right: Stopping): number {
  return (
    highest(left.stopped) - highest(right.stopped) ||
    left.stopped.length - right.stopped.length ||
    sum(left.stopped, priorityOf) - sum(right.stopped, priorityOf) ||
    left.moves.length - right.moves.length ||
    left.movedBytes - right.movedBytes ||
    sum(left.stopped, memoryOf) - sum(right.stopped, memoryOf) ||
    (namesOf(left) < namesOf(right) ? -1 : 1)
  )
}

const priorityOf = ({ demand }: PlacedContainer): number => demand.priority ?? 0
const memoryOf = ({ demand }: PlacedContainer): number => demand.requests.memoryBytes
const highest = (containers: readonly PlacedContainer[]): number => Math.max(...containers.map(priorityOf))
const namesOf = ({ host, stopped }: Stopping): string => [host, ...stopped.map(({ demand }) => demand.name)].join()

function sum(containers: readonly PlacedContainer[], of: (container: PlacedContainer) => number): number {
  return containers.reduce((total, each) => total + of(each), 0)
}

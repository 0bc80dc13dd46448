// The steps by which repack.ts empties a host: which exchange with another host takes most off it for the fewest moves, and
// which swap between two others makes a hole for what is left.

import { columns, cpuColumn, memoryColumn } from './resource-vector.ts'
import type { Constraints } from './snapshot.ts'

export interface RepackContainer {
  name: string
  vector: Float64Array
  constraints: Constraints | undefined
  excluded: ReadonlySet<string>
}

export interface RepackHost {
  name: string
  capacity: Float64Array
  free: Float64Array
  containers: RepackContainer[]
  /** It holds something that can't be moved. */
  pinned: boolean
  takes: (container: RepackContainer) => boolean
  /** Sets of its containers by largest number; cleared when they change. */
  sets: Map<number, ContainerSet[]>
}

export interface Exchange {
  other: RepackHost
  /** From the victim to the other. */
  out: RepackContainer[]
  /** From the other to the victim, before. */
  back: RepackContainer[]
}

export interface Swap {
  left: RepackHost
  right: RepackHost
  /** From left to right … */
  large: RepackContainer
  /** … and for it from right to left … */
  small: RepackContainer
  /** … whereby left has room for this one of the victim's. */
  last: RepackContainer
}

/** So many containers leave the victim in one exchange at most. */
const mostOut = 3
/** So many come back for them: few at first, more when nothing else helps. */
const mostBack = [2, 4] as const
/** Sets of one host's containers that are tried; a host with hundreds has more than can be looked at. */
const maxSets = 400
/** Hosts with room to gain that are tried, those with the largest holes first. */
const maxOthers = 1500
/** A resource that isn't the scarcest counts so much less. */
const minorWeight = 0.3
/** Smaller gains are rounding. */
const leastGain = 1e-6

/** What one unit of each resource counts: in shares of an average host, the scarcest in full. */
export function sizeWeights(hosts: readonly RepackHost[]): Float64Array {
  const taken = new Float64Array(columns)
  const capacity = new Float64Array(columns)
  for (const host of hosts) {
    if (host.containers.length === 0) continue
    for (let column = 0; column < columns; column++) {
      capacity[column]! += host.capacity[column]!
      taken[column]! += host.capacity[column]! - host.free[column]!
    }
  }
  const scarcity = (column: number) =>
    Number.isFinite(capacity[column]!) && capacity[column]! > 0 ? taken[column]! / capacity[column]! : 0
  const scarcest = scarcity(memoryColumn) > scarcity(cpuColumn) ? memoryColumn : cpuColumn
  const weights = new Float64Array(columns)
  for (const column of [memoryColumn, cpuColumn]) {
    weights[column] = ((column === scarcest ? 1 : minorWeight) * hosts.length) / Math.max(1, capacity[column]!)
  }
  return weights
}

export interface ContainerSet {
  members: RepackContainer[]
  vector: Float64Array
  size: number
}

/** Most taken off the victim per move; what goes without anything coming back is best of all. */
export function bestExchange(
  victim: RepackHost,
  others: readonly RepackHost[],
  weights: Float64Array,
): Exchange | null {
  const outs = setsOf(victim, mostOut, weights).filter(({ members }) => members.length > 0)
  const tried =
    others.length <= maxOthers
      ? others
      : [...others].sort((a, b) => hole(b, weights) - hole(a, weights)).slice(0, maxOthers)
  for (const most of mostBack) {
    let best: Exchange | null = null
    let bestRate = 0
    for (const other of tried) {
      for (const back of setsOf(other, most, weights)) {
        if (!fitsInto(back.vector, victim.free)) continue
        for (const out of outs) {
          const gain = out.size - back.size
          if (gain <= leastGain) continue
          const rate = gain / (out.members.length + back.members.length) + (back.members.length === 0 ? 1 : 0)
          if (rate <= bestRate || !fitsAfter(out.vector, other.free, back.vector)) continue
          if (!out.members.every(other.takes) || !back.members.every(victim.takes)) continue
          best = { other, out: out.members, back: back.members }
          bestRate = rate
        }
      }
    }
    if (best) return best
  }
  return null
}

function hole({ free }: RepackHost, weights: Float64Array): number {
  return free[cpuColumn]! * weights[cpuColumn]! + free[memoryColumn]! * weights[memoryColumn]!
}

/** The first that does, for the victim's largest container. */
export function bestSwap(victim: RepackHost, others: readonly RepackHost[]): Swap | null {
  const last = [...victim.containers].sort((a, b) => b.vector[cpuColumn]! - a.vector[cpuColumn]!)[0]
  if (!last) return null
  for (const left of others) {
    if (!left.takes(last)) continue
    for (const large of distinct(left.containers)) {
      if (!victim.takes(large) || !fitsInto(large.vector, victim.free)) continue
      for (const right of others) {
        if (right === left || !right.takes(large)) continue
        for (const small of right.containers) {
          if (!swapFits(left, right, large, small, last) || !left.takes(small)) continue
          return { left, right, large, small, last }
        }
      }
    }
  }
  return null
}

function swapFits(
  left: RepackHost,
  right: RepackHost,
  large: RepackContainer,
  small: RepackContainer,
  last: RepackContainer,
): boolean {
  for (let column = cpuColumn; column >= 0; column--) {
    const freed = large.vector[column]! - small.vector[column]!
    if (left.free[column]! + freed < last.vector[column]! || right.free[column]! < freed) return false
  }
  for (let column = cpuColumn + 1; column < columns; column++) {
    const freed = large.vector[column]! - small.vector[column]!
    if (left.free[column]! + freed < last.vector[column]! || right.free[column]! < freed) return false
  }
  return true
}

/** All sets of at most `most`, but only one of those that are equal in what they need. */
function setsOf({ containers, sets: known }: RepackHost, most: number, weights: Float64Array): ContainerSet[] {
  const before = known.get(most)
  if (before) return before
  const kinds = kindsOf(containers)
  const sets: ContainerSet[] = [{ members: [], vector: new Float64Array(columns), size: 0 }]
  const extend = (from: number, base: ContainerSet, taken: number): void => {
    for (let kind = from; kind < kinds.length && sets.length < maxSets; kind++) {
      const already = kind === from ? taken : 0
      const container = kinds[kind]![already]
      if (!container) continue
      const vector = base.vector.map((amount, column) => amount + container.vector[column]!)
      const size =
        base.size +
        container.vector[cpuColumn]! * weights[cpuColumn]! +
        container.vector[memoryColumn]! * weights[memoryColumn]!
      const set = { members: [...base.members, container], vector, size }
      sets.push(set)
      if (set.members.length < most) extend(kind, set, already + 1)
    }
  }
  extend(0, sets[0]!, 0)
  known.set(most, sets)
  return sets
}

function kindsOf(containers: readonly RepackContainer[]): RepackContainer[][] {
  const kinds = new Map<string, RepackContainer[]>()
  for (const container of containers) {
    const key = container.constraints || container.excluded.size > 0 ? container.name : container.vector.join(' ')
    const kind = kinds.get(key)
    if (kind) kind.push(container)
    else kinds.set(key, [container])
  }
  return [...kinds.values()]
}

const distinct = (containers: readonly RepackContainer[]): RepackContainer[] =>
  kindsOf(containers).map(([first]) => first!)

function fitsInto(vector: Float64Array, free: Float64Array): boolean {
  for (let column = 0; column < columns; column++) if (vector[column]! > free[column]!) return false
  return true
}

/** Whether `vector` fits once `gone` has left. */
function fitsAfter(vector: Float64Array, free: Float64Array, gone: Float64Array): boolean {
  for (let column = 0; column < columns; column++) {
    if (vector[column]! > free[column]! + gone[column]!) return false
  }
  return true
}

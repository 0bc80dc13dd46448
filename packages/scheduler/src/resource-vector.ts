// Every amount that a host can run out of, in one order: what is asked for, kernel limits that bite at density, and measured
// use. The plain pipeline and the typed-array model both reckon with these vectors, so they can't disagree on what fits.

import type { Resources } from '@drover/protocol'
import type { Demand, HostSnapshot, PoolPolicy } from './snapshot.ts'

/** The order in which shortages name a refusal and equal shares name the dominant resource. */
export const resourceOrder = [
  'memoryBytes',
  'cpuMilli',
  'diskBytes',
  'pids',
  'inotifyWatches',
  'keyrings',
  'ptys',
  'neighbourEntries',
  'bridgePorts',
  'measuredMemoryBytes',
  'measuredCpuMilli',
] as const

export type ResourceName = (typeof resourceOrder)[number]

export const memoryColumn = 0
export const cpuColumn = 1
export const columns = resourceOrder.length

/** What may add up to on the host: capacity with the pool's overcommit; measured use has its own, without it. */
export function writeCapacity(host: HostSnapshot, pool: PoolPolicy, to: Float64Array, at: number): void {
  const { capacity, limits } = host
  to[at] = capacity.memoryBytes * (pool.overcommit?.memory ?? 1)
  to[at + 1] = capacity.cpuMilli * (pool.overcommit?.cpu ?? 1)
  to[at + 2] = capacity.diskBytes
  to[at + 3] = capacity.pids
  to[at + 4] = limits?.inotifyWatches ?? Infinity
  to[at + 5] = limits?.keyrings ?? Infinity
  to[at + 6] = limits?.ptys ?? Infinity
  to[at + 7] = limits?.neighbourEntries ?? Infinity
  to[at + 8] = limits?.bridgePorts ?? Infinity
  const usable = 1 - (pool.idleReserve ?? 0)
  to[at + 9] = host.measured ? capacity.memoryBytes * usable : Infinity
  to[at + 10] = host.measured ? capacity.cpuMilli * usable : Infinity
}

export function writeRequested(host: HostSnapshot, to: Float64Array, at: number): void {
  const { requested, limitsRequested: limits, measured } = host
  to[at] = requested.memoryBytes
  to[at + 1] = requested.cpuMilli
  to[at + 2] = requested.diskBytes
  to[at + 3] = requested.pids
  to[at + 4] = limits?.inotifyWatches ?? 0
  to[at + 5] = limits?.keyrings ?? 0
  to[at + 6] = limits?.ptys ?? 0
  to[at + 7] = limits?.neighbourEntries ?? 0
  to[at + 8] = limits?.bridgePorts ?? 0
  to[at + 9] = measured?.memoryBytes ?? 0
  to[at + 10] = measured?.cpuMilli ?? 0
}

export function writeDemand(demand: Demand, to: Float64Array): void {
  const { requests, limits, measured } = demand
  to[0] = requests.memoryBytes
  to[1] = requests.cpuMilli
  to[2] = requests.diskBytes
  to[3] = requests.pids
  to[4] = limits?.inotifyWatches ?? 0
  to[5] = limits?.keyrings ?? 0
  to[6] = limits?.ptys ?? 0
  to[7] = limits?.neighbourEntries ?? 0
  to[8] = limits?.bridgePorts ?? 0
  to[9] = measured?.memoryBytes ?? requests.memoryBytes
  to[10] = measured?.cpuMilli ?? requests.cpuMilli
}

export interface HostVectors {
  capacity: Float64Array
  requested: Float64Array
}

export function hostVectors(host: HostSnapshot, pool: PoolPolicy): HostVectors {
  const vectors = { capacity: new Float64Array(columns), requested: new Float64Array(columns) }
  writeCapacity(host, pool, vectors.capacity, 0)
  writeRequested(host, vectors.requested, 0)
  return vectors
}

export function demandVector(demand: Demand): Float64Array {
  const vector = new Float64Array(columns)
  writeDemand(demand, vector)
  return vector
}

/** A resource of which there is none, and of which none is asked, is not scarce. */
export function shareOf(requested: number, capacity: number): number {
  return capacity === 0 ? 0 : requested / capacity
}

/** The largest share of `capacity` that is asked for of a resource. */
export function dominantShareOf(requests: Resources, capacity: Resources): number {
  const share = (key: keyof Resources) => shareOf(requests[key], capacity[key])
  return Math.max(share('cpuMilli'), share('memoryBytes'), share('diskBytes'), share('pids'))
}

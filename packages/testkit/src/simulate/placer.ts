// Who decides where a workload goes: drover's own scheduler, or one of the textbook rules that it is compared with.
// The textbook rules are written plainly and look at every host: they are the peers, so nothing of them is clever.

import {
  type Demand,
  fillTables,
  type HostSnapshot,
  type MixEntry,
  Model,
  mixOf,
  type PoolPolicy,
} from '@drover/scheduler'
import type { Workload } from './trace.ts'

/** `pack-mix`: the pool learns the sizes of recent demands, and packs by the holes that they would leave. */
export const droverPolicies = ['pack', 'pack-mix', 'balance', 'spread'] as const
export const peerPolicies = ['first-fit', 'best-fit', 'worst-fit'] as const
type DroverPolicy = (typeof droverPolicies)[number]
export type PolicyName = DroverPolicy | (typeof peerPolicies)[number]
export const isDrovers = (policy: PolicyName): boolean => (droverPolicies as readonly string[]).includes(policy)

export interface Hosts {
  count: number
  /** What requests may add up to: with overcommit. */
  cpuMilli: number
  memoryBytes: number
}

export interface Placer {
  /** Takes the room on a host and tells which; −1: no host has it. */
  place: (workload: Workload) => number
  put: (workload: Workload, host: number) => void
  remove: (workload: Workload, host: number) => void
}

export function createPlacer(policy: PolicyName, hosts: Hosts, seed: number): Placer {
  return isDrovers(policy) ? new SchedulerPlacer(policy as DroverPolicy, hosts, seed) : new PeerPlacer(policy, hosts)
}

/** A new host is used only when none in use has room; among those the first, the fullest or the emptiest is taken. */
class PeerPlacer implements Placer {
  readonly #policy: PolicyName
  readonly #hosts: Hosts
  readonly #cpu: Float64Array
  readonly #memory: Float64Array
  readonly #containers: Int32Array

  constructor(policy: PolicyName, hosts: Hosts) {
    this.#policy = policy
    this.#hosts = hosts
    this.#cpu = new Float64Array(hosts.count)
    this.#memory = new Float64Array(hosts.count)
    this.#containers = new Int32Array(hosts.count)
  }

  place(workload: Workload): number {
    const host = this.#find(workload)
    if (host >= 0) this.put(workload, host)
    return host
  }

  put(workload: Workload, host: number): void {
    this.#change(workload, host, 1)
  }

  remove(workload: Workload, host: number): void {
    this.#change(workload, host, -1)
  }

  #find({ cpuMilli, memoryBytes }: Workload): number {
    const { count, cpuMilli: cpu, memoryBytes: memory } = this.#hosts
    let best = -1
    let least = Number.POSITIVE_INFINITY
    let unused = -1
    for (let host = 0; host < count; host++) {
      const cpuAfter = this.#cpu[host]! + cpuMilli
      const memoryAfter = this.#memory[host]! + memoryBytes
      if (cpuAfter > cpu || memoryAfter > memory) continue
      if (this.#containers[host] === 0) {
        if (unused < 0) unused = host
        continue
      }
      if (this.#policy === 'first-fit') return host
      // What would be left, of both resources together.
      const left = 2 - cpuAfter / cpu - memoryAfter / memory
      const rank = this.#policy === 'best-fit' ? left : -left
      if (rank < least) {
        best = host
        least = rank
      }
    }
    return best >= 0 ? best : unused
  }

  #change({ cpuMilli, memoryBytes }: Workload, host: number, sign: number): void {
    this.#cpu[host]! += sign * cpuMilli
    this.#memory[host]! += sign * memoryBytes
    this.#containers[host]! += sign
  }
}

/** Sizes of so many of the latest arrivals are what `pack` expects of the next ones; learnt anew after as many arrivals. */
const mixSize = 4_000
/** The first mix is learnt from fewer, so that a replay doesn't fill half of its hosts without one. */
const firstMixSize = 250

class SchedulerPlacer implements Placer {
  readonly #policy: DroverPolicy
  readonly #hosts: Hosts
  readonly #seed: number
  readonly #index = new Map<string, number>()
  readonly #placed = new Map<Workload, number>()
  readonly #recent: Workload[] = []
  #untilMix = firstMixSize
  #model: Model

  constructor(policy: DroverPolicy, hosts: Hosts, seed: number) {
    this.#policy = policy
    this.#hosts = hosts
    this.#seed = seed
    for (let host = 0; host < hosts.count; host++) this.#index.set(hostName(host), host)
    this.#model = this.#modelWith(null)
  }

  place(workload: Workload): number {
    this.#learn(workload)
    const host = this.#model.place(demandOf(workload))
    if (host === null) return -1
    const index = this.#index.get(host)!
    this.#placed.set(workload, index)
    return index
  }

  put(workload: Workload, host: number): void {
    this.#model.put(demandOf(workload), hostName(host))
    this.#placed.set(workload, host)
  }

  remove(workload: Workload, host: number): void {
    this.#model.remove(demandOf(workload), hostName(host))
    this.#placed.delete(workload)
  }

  #learn(workload: Workload): void {
    if (this.#policy !== 'pack-mix') return
    this.#recent.push(workload)
    if (--this.#untilMix > 0) return
    this.#untilMix = mixSize
    const recent = this.#recent.splice(0, Math.max(0, this.#recent.length - mixSize))
    this.#model = this.#modelWith(mixOf((this.#recent.length > 0 ? this.#recent : recent).map(demandOf)))
    for (const [each, host] of this.#placed) this.#model.put(demandOf(each), hostName(host))
  }

  #modelWith(mix: MixEntry[] | null): Model {
    const policy = this.#policy === 'pack-mix' ? 'pack' : this.#policy
    const pool: PoolPolicy = { policy, ...(mix === null ? {} : { fill: fillTables(mix) }) }
    const hosts = Array.from({ length: this.#hosts.count }, (_, at) => emptyHost(at, this.#hosts))
    return new Model({ hosts, pools: { default: pool } }, this.#seed)
  }
}

export const hostName = (index: number): string => `h${String(index).padStart(5, '0')}`

export function emptyHost(index: number, { cpuMilli, memoryBytes }: Hosts): HostSnapshot {
  return {
    name: hostName(index),
    capacity: { cpuMilli, memoryBytes, diskBytes: Number.MAX_SAFE_INTEGER, pids: Number.MAX_SAFE_INTEGER },
    requested: { cpuMilli: 0, memoryBytes: 0, diskBytes: 0, pids: 0 },
    ready: true,
    cordoned: false,
    migratable: true,
    images: new Set([image]),
    containers: 0,
  }
}

const image = 'trace'
const none: ReadonlySet<string> = new Set()
const demands = new WeakMap<Workload, Demand>()

export function demandOf(workload: Workload): Demand {
  let demand = demands.get(workload)
  if (!demand) {
    const requests = { cpuMilli: workload.cpuMilli, memoryBytes: workload.memoryBytes, diskBytes: 0, pids: 0 }
    demand = { name: workload.name, requests, image, host: null, excluded: none, live: true }
    demands.set(workload, demand)
  }
  return demand
}

// Who is where, as planners of moves change it in thought: the caller's snapshot is never touched. A container that is
// moved in thought frees its room at once; the order of the moves in the plan makes that true when they are carried out.
// The hosts' sums (requested, groups, devices …) already count the containers that are on them.

import { deviceRefusal, natureRefusal } from '../constraints.ts'
import { conditionRefusal, type Refusal, refusalOf, type Trial } from '../feasible.ts'
import { addMembers, countGroup, domainOf, type GroupCounts, groupRefusal } from '../groups.ts'
import { changedListens, listenRefusal } from '../listens.ts'
import { columns, demandVector, shareOf, writeCapacity, writeRequested } from '../resource-vector.ts'
import { type ClusterSnapshot, defaultPool, type HostSnapshot } from '../snapshot.ts'
import { type ContainerSnapshot, compareNames } from './container-snapshot.ts'

export class Layout {
  /** By name. */
  readonly hosts: readonly HostSnapshot[]
  readonly #pools: NonNullable<ClusterSnapshot['pools']>
  readonly #index = new Map<string, number>()
  readonly #on: Set<ContainerSnapshot>[]
  readonly #where = new Map<ContainerSnapshot, number>()
  readonly #vectors = new Map<ContainerSnapshot, Float64Array>()
  /** Hosts × resources. */
  readonly #capacity: Float64Array
  readonly #requested: Float64Array

  constructor(snapshot: ClusterSnapshot, containers: readonly ContainerSnapshot[]) {
    this.hosts = [...snapshot.hosts].sort((left, right) => compareNames(left.name, right.name)).map(ownCopy)
    this.#pools = snapshot.pools ?? {}
    this.#capacity = new Float64Array(this.hosts.length * columns)
    this.#requested = new Float64Array(this.hosts.length * columns)
    this.hosts.forEach((host, index) => {
      this.#index.set(host.name, index)
      writeCapacity(host, this.#pools[host.pool ?? defaultPool] ?? {}, this.#capacity, index * columns)
      writeRequested(host, this.#requested, index * columns)
    })
    this.#on = this.hosts.map(() => new Set())
    for (const container of [...containers].sort((left, right) => compareNames(left.demand.name, right.demand.name))) {
      const index = this.#index.get(container.host)
      if (index === undefined) continue
      this.#on[index]!.add(container)
      this.#where.set(container, index)
    }
  }

  /** Index of a host, or −1. */
  indexOf(host: string): number {
    return this.#index.get(host) ?? -1
  }

  /** Index of its host, or −1 when that isn't in the snapshot. */
  whereIs(container: ContainerSnapshot): number {
    return this.#where.get(container) ?? -1
  }

  on(host: number): ReadonlySet<ContainerSnapshot> {
    return this.#on[host]!
  }

  /** Its quota counts it already, and in its group it makes room for itself. */
  refusal(container: ContainerSnapshot, host: number): Refusal | null {
    const { demand } = container
    const group = this.#othersOfGroup(container)
    const trial: Trial = { demand, vector: this.vector(container), pools: this.#pools, overQuota: null, group }
    return refusalOf(this.hosts[host]!, demand, trial)
  }

  /** Whether there is room, by arithmetic alone: cheap, so it's asked before the other rules. */
  hasRoom(container: ContainerSnapshot, host: number): boolean {
    const vector = this.vector(container)
    const at = host * columns
    for (let column = 0; column < columns; column++) {
      if (this.#requested[at + column]! + vector[column]! > this.#capacity[at + column]!) return false
    }
    return true
  }

  takes(container: ContainerSnapshot, host: number): boolean {
    return this.hasRoom(container, host) && this.#allows(container, host)
  }

  /** The rules but for room: what `refusal` says, without working out a host's amounts anew. */
  #allows(container: ContainerSnapshot, index: number): boolean {
    const host = this.hosts[index]!
    const { demand } = container
    const { constraints, group } = demand
    if ((demand.host !== null && demand.host !== host.name) || demand.excluded.has(host.name)) return false
    if (conditionRefusal(host, demand) !== null || natureRefusal(host, constraints) !== null) return false
    if (constraints?.devices && deviceRefusal(host.devices ?? {}, constraints) !== null) return false
    if (listenRefusal(host.listens, demand.listens) !== null) return false
    if (!group) return true
    return groupRefusal(group, this.#othersOfGroup(container)!, domainOf(host, group.topology)) === null
  }

  #othersOfGroup(container: ContainerSnapshot): GroupCounts | null {
    const { group } = container.demand
    if (!group) return null
    const counts = countGroup(this.hosts, group)
    const here = this.whereIs(container)
    if (here >= 0) addMembers(counts, domainOf(this.hosts[here]!, group.topology), -1)
    return counts
  }

  /** Share of the dominant resource that is requested, or would be with `container`: how full the host is. */
  fullness(host: number, container: ContainerSnapshot | null = null): number {
    const vector = container === null ? null : this.vector(container)
    const at = host * columns
    let most = 0
    for (let column = 0; column < columns; column++) {
      const amount = this.#requested[at + column]! + (vector?.[column] ?? 0)
      most = Math.max(most, shareOf(amount, this.#capacity[at + column]!))
    }
    return most
  }

  /** What the container asks for, as a share of the host's largest: how hard it is to place. */
  sizeOn(container: ContainerSnapshot, host: number): number {
    const vector = this.vector(container)
    let most = 0
    for (let column = 0; column < columns; column++) {
      most = Math.max(most, shareOf(vector[column]!, this.#capacity[host * columns + column]!))
    }
    return most
  }

  /** The host that would be fullest among those that `allowed` lets and that can take it; −1 when there is none. */
  bestFit(container: ContainerSnapshot, allowed: (host: number) => boolean): number {
    const here = this.whereIs(container)
    const refused = new Set<number>()
    for (;;) {
      let best = -1
      let most = Number.NEGATIVE_INFINITY
      for (let host = 0; host < this.hosts.length; host++) {
        if (host === here || !this.hasRoom(container, host) || refused.has(host) || !allowed(host)) continue
        const fullness = this.fullness(host, container)
        if (fullness > most) {
          best = host
          most = fullness
        }
      }
      if (best < 0 || this.#allows(container, best)) return best
      refused.add(best)
    }
  }

  move(container: ContainerSnapshot, to: number): void {
    const from = this.whereIs(container)
    if (from === to) return
    if (from >= 0) {
      this.#on[from]!.delete(container)
      this.#change(from, container, -1)
    }
    this.#where.set(container, to)
    this.#on[to]!.add(container)
    this.#change(to, container, 1)
  }

  vector(container: ContainerSnapshot): Float64Array {
    let vector = this.#vectors.get(container)
    if (!vector) {
      vector = demandVector(container.demand)
      this.#vectors.set(container, vector)
    }
    return vector
  }

  #change(index: number, container: ContainerSnapshot, sign: 1 | -1): void {
    const host = this.hosts[index]!
    const { demand } = container
    const vector = this.vector(container)
    for (let column = 0; column < columns; column++)
      this.#requested[index * columns + column]! += sign * vector[column]!
    host.requested.memoryBytes += sign * demand.requests.memoryBytes
    host.requested.cpuMilli += sign * demand.requests.cpuMilli
    host.requested.diskBytes += sign * demand.requests.diskBytes
    host.requested.pids += sign * demand.requests.pids
    host.containers += sign
    if (host.measured) {
      const use = demand.measured ?? demand.requests
      host.measured = {
        cpuMilli: host.measured.cpuMilli + sign * use.cpuMilli,
        memoryBytes: host.measured.memoryBytes + sign * use.memoryBytes,
      }
    }
    if (demand.limits) {
      const sums: Record<string, number> = { ...host.limitsRequested }
      for (const [name, amount] of Object.entries(demand.limits)) sums[name] = (sums[name] ?? 0) + sign * amount
      host.limitsRequested = sums
    }
    if (demand.group) {
      const { name } = demand.group
      host.groups = { ...host.groups, [name]: (host.groups?.[name] ?? 0) + sign }
    }
    if (demand.listens) host.listens = changedListens(host.listens, demand.listens, sign)
    if (demand.constraints?.devices) {
      const free: Record<string, number> = { ...host.devices }
      for (const [kind, count] of Object.entries(demand.constraints.devices))
        free[kind] = (free[kind] ?? 0) - sign * count
      host.devices = free
    }
  }
}

const ownCopy = (host: HostSnapshot): HostSnapshot => ({ ...host, requested: { ...host.requested } })

// The cluster as typed arrays, for many placements a second: the same decisions as `place` on the same snapshot and seed
// (a property test holds them against each other), without looking at every host and without its explanation. Hosts are
// rows; a placement changes one row and one position in an index.
//
// Hosts are put on shelves: those of one shelf have the same capacity, condition and nature, so what is worked out for one is
// true for all, and shares on a shelf compare without rounding surprises. Each shelf has an index ordered for its pool's policy.

import { deviceRefusal, natureRefusal, reasonsToAvoid } from './constraints.ts'
import { conditionRefusal } from './feasible.ts'
import { maxOpenHosts, openShare } from './fill.ts'
import { type GroupMembers, GroupTable, membersIn, preferenceLevels, rowsOfLevel, strictTest } from './group-table.ts'
import { changedListens, type Listens, listenRefusal } from './listens.ts'
import { quotaRefusal } from './quotas.ts'
import { columns, cpuColumn, memoryColumn, shareOf, writeCapacity, writeDemand } from './resource-vector.ts'
import { imageBit, type Rows, rowsOf, type Search } from './rows.ts'
import { createShelf, type Shelf, shelfKey } from './shelf.ts'
import {
  type ClusterSnapshot,
  type Constraints,
  type Demand,
  defaultPool,
  type GroupRule,
  type HostSnapshot,
  type PoolPolicy,
  type Project,
} from './snapshot.ts'

/** When a constraint leaves so few hosts, each is looked at. */
const fewHosts = 48
/** When the domains that a preference likes equally have fewer than one in 2^this of all hosts, each is looked at. */
const levelShift = 4
/** Kinds of constraints whose hosts are remembered. */
const maxKinds = 256

/** Which hosts a kind of constraint allows by their nature. */
interface Eligibility {
  allowed: Uint8Array
  slots: Int32Array
  byShelf: Int32Array
}

export class Model {
  /** Breaks ties, as `place`’s does. */
  readonly seed: number
  readonly #hosts: HostSnapshot[]
  readonly #slotOf = new Map<string, number>()
  #pools: NonNullable<ClusterSnapshot['pools']>
  readonly #projects = new Map<string, Project>()
  readonly #rows: Rows
  readonly #shelves: Shelf[] = []
  readonly #shelfOf: Int32Array
  readonly #devices: Record<string, number>[]
  readonly #listens: (Listens | undefined)[]
  readonly #groups: GroupTable
  readonly #open = new Map<string, number>()
  readonly #kinds = new Map<string, Eligibility>()
  readonly #kindOf = new WeakMap<Constraints, Eligibility>()
  readonly #vector = new Float64Array(columns)
  readonly #total = new Float64Array(columns)

  constructor(snapshot: ClusterSnapshot, seed: number) {
    const hosts = [...snapshot.hosts]
    this.seed = seed
    this.#hosts = hosts
    this.#pools = snapshot.pools ?? {}
    for (const [name, project] of Object.entries(snapshot.projects ?? {})) this.#projects.set(name, project)
    this.#rows = rowsOf(hosts, this.#pools, seed)
    this.#shelfOf = new Int32Array(hosts.length)
    this.#devices = hosts.map(({ devices }) => ({ ...devices }))
    this.#listens = hosts.map(({ listens }) => listens)
    this.#groups = new GroupTable(hosts)
    const shelves = new Map<string, Shelf>()
    for (const [slot, host] of hosts.entries()) {
      this.#slotOf.set(host.name, slot)
      const key = shelfKey(host)
      let shelf = shelves.get(key)
      if (!shelf) {
        shelf = createShelf(this.#shelves.length, host, this.#poolOf(host), this.#rows, slot)
        shelves.set(key, shelf)
        this.#shelves.push(shelf)
      }
      this.#shelfOf[slot] = shelf.id
      shelf.members.push(slot)
      this.#countOpen(slot, 1)
      for (let column = 0; column < columns; column++)
        this.#total[column]! += this.#rows.capacity[slot * columns + column]!
    }
    for (const shelf of this.#shelves) shelf.index.fill(shelf.members)
  }

  get hosts(): readonly HostSnapshot[] {
    return this.#hosts
  }

  /** The host that `place` would take, or null; nothing changes. */
  find(demand: Demand): string | null {
    const slot = this.#find(demand)
    return slot < 0 ? null : this.#hosts[slot]!.name
  }

  /** Finds a host and takes the room on it. */
  place(demand: Demand): string | null {
    const slot = this.#find(demand)
    if (slot < 0) return null
    this.#change(slot, demand, 1)
    return this.#hosts[slot]!.name
  }

  /** Takes the room on `host`, wanted or not: that is where it is. */
  put(demand: Demand, host: string): void {
    this.#change(this.#slot(host), demand, 1)
  }

  /** Gives the room back; images stay. */
  remove(demand: Demand, host: string): void {
    this.#change(this.#slot(host), demand, -1)
  }

  /** From now on the pool has this policy; nothing that is placed moves. */
  setPolicy(pool: string, policy: PoolPolicy): void {
    this.#pools = { ...this.#pools, [pool]: policy }
    this.#open.delete(pool)
    for (const shelf of this.#shelves) {
      if (shelf.pool !== pool) continue
      for (const slot of shelf.members) {
        writeCapacity(this.#hosts[slot]!, policy, this.#rows.capacity, slot * columns)
        this.#countOpen(slot, 1)
      }
      shelf.index = createShelf(shelf.id, shelf.example, policy, this.#rows, shelf.members[0]!).index
      shelf.index.fill(shelf.members)
    }
  }

  containersOn(host: string): number {
    return this.#rows.containers[this.#slot(host)]!
  }

  /** The largest share that the demand takes of all there is of a resource. */
  sizeOf(demand: Demand): number {
    writeDemand(demand, this.#vector)
    let size = 0
    for (let column = 0; column < columns; column++) {
      size = Math.max(size, shareOf(this.#vector[column]!, this.#total[column]!))
    }
    return size
  }

  #slot(host: string): number {
    const slot = this.#slotOf.get(host)
    if (slot === undefined) throw new Error(`the model has no host ${host}`)
    return slot
  }

  #poolOf(host: HostSnapshot): PoolPolicy {
    return this.#pools[host.pool ?? defaultPool] ?? {}
  }

  #find(demand: Demand): number {
    const { constraints, group } = demand
    if (demand.project !== undefined && this.#overQuota(demand)) return -1
    writeDemand(demand, this.#vector)
    const eligibility = constraints === undefined ? null : this.#eligibility(constraints)
    const counts = group ? this.#groups.membersOf(group) : null
    const pool = constraints?.pool ?? defaultPool
    const search: Search = {
      vector: this.#vector,
      image: demand.image,
      imageBit: imageBit(demand.image),
      accepts: null,
      enoughOpen: (this.#open.get(pool) ?? 0) >= maxOpenHosts,
      best: -1,
      bestScore: -Infinity,
      bestHasImage: false,
    }
    const rules = this.#rules(demand, eligibility, counts)
    if (demand.host !== null) {
      search.accepts = rules
      const slot = this.#slotOf.get(demand.host)
      if (slot !== undefined) this.#tryOne(slot, demand, search)
      return search.best
    }
    const shelves = this.#shelves.filter(
      (shelf) =>
        shelf.pool === pool &&
        conditionRefusal(shelf.example, demand) === null &&
        (eligibility ? eligibility.byShelf[shelf.id]! > 0 : natureRefusal(shelf.example, constraints) === null),
    )
    const avoided = [...new Set(shelves.map(({ example }) => reasonsToAvoid(example, constraints)))].sort(
      (a, b) => a - b,
    )
    for (const taints of avoided) {
      const level = shelves.filter(({ example }) => reasonsToAvoid(example, constraints) === taints)
      if (!group || !counts || group.strict) this.#searchShelves(level, search, rules, eligibility)
      else this.#searchByPreference(level, search, rules, eligibility, group, counts)
      if (search.best >= 0) break
    }
    return search.best
  }

  #searchShelves(
    shelves: readonly Shelf[],
    search: Search,
    accepts: Search['accepts'],
    eligibility: Eligibility | null,
  ): void {
    search.accepts = accepts
    if (eligibility && eligibility.slots.length <= fewHosts) {
      this.#considerEach(eligibility.slots, shelves, search, accepts)
      return
    }
    for (const shelf of shelves) shelf.index.search(search)
  }

  #considerEach(slots: Iterable<number>, shelves: readonly Shelf[], search: Search, accepts: Search['accepts']): void {
    search.accepts = accepts
    for (const slot of slots) {
      const shelf = this.#shelves[this.#shelfOf[slot]!]!
      if (shelves.includes(shelf)) shelf.index.consider(slot, search)
    }
  }

  /** Best domains first; a level is the hosts of all domains that are as good as each other. */
  #searchByPreference(
    shelves: readonly Shelf[],
    search: Search,
    rules: Search['accepts'],
    eligibility: Eligibility | null,
    group: GroupRule,
    counts: GroupMembers,
  ): void {
    for (const level of preferenceLevels(group, counts)) {
      const slots = rowsOfLevel(counts, level, Math.max(fewHosts, this.#hosts.length >> levelShift))
      const accepts = (slot: number) => membersIn(counts, slot) === level && (rules === null || rules(slot))
      if (slots) this.#considerEach(slots, shelves, search, rules)
      else this.#searchShelves(shelves, search, accepts, eligibility)
      if (search.best >= 0) return
    }
  }

  #tryOne(slot: number, demand: Demand, search: Search): void {
    const host = this.#hosts[slot]!
    if (conditionRefusal(host, demand) || natureRefusal(host, demand.constraints)) return
    this.#shelves[this.#shelfOf[slot]!]!.index.consider(slot, search)
  }

  /** The rules that go host by host, or null when there is none. */
  #rules(demand: Demand, eligibility: Eligibility | null, counts: GroupMembers | null): Search['accepts'] {
    const { excluded, constraints, group, listens } = demand
    const devices = constraints?.devices
    const strict = group?.strict && counts ? strictTest(group, counts) : null
    if (excluded.size === 0 && !eligibility && !strict && !listens) return null
    return (slot) => {
      if (eligibility && eligibility.allowed[slot] === 0) return false
      if (excluded.size > 0 && excluded.has(this.#hosts[slot]!.name)) return false
      if (devices && deviceRefusal(this.#devices[slot]!, constraints)) return false
      if (listens && listenRefusal(this.#listens[slot], listens)) return false
      return strict === null || strict(slot)
    }
  }

  #eligibility(constraints: Constraints): Eligibility {
    const known = this.#kindOf.get(constraints)
    if (known) return known
    const key = JSON.stringify(constraints)
    let kind = this.#kinds.get(key)
    if (!kind) {
      kind = this.#findEligible(constraints)
      if (this.#kinds.size >= maxKinds) this.#kinds.delete(this.#kinds.keys().next().value!)
      this.#kinds.set(key, kind)
    }
    this.#kindOf.set(constraints, kind)
    return kind
  }

  #findEligible(constraints: Constraints): Eligibility {
    const allowed = new Uint8Array(this.#hosts.length)
    const byShelf = new Int32Array(this.#shelves.length)
    const slots: number[] = []
    for (const [slot, host] of this.#hosts.entries()) {
      if (natureRefusal(host, constraints)) continue
      allowed[slot] = 1
      byShelf[this.#shelfOf[slot]!]! += 1
      slots.push(slot)
    }
    return { allowed, byShelf, slots: Int32Array.from(slots) }
  }

  #overQuota(demand: Demand): boolean {
    const project = this.#projects.get(demand.project!)
    return project !== undefined && quotaRefusal({ [demand.project!]: project }, demand) !== null
  }

  #change(slot: number, demand: Demand, sign: 1 | -1): void {
    const rows = this.#rows
    const { index } = this.#shelves[this.#shelfOf[slot]!]!
    writeDemand(demand, this.#vector)
    index.remove(slot)
    this.#countOpen(slot, -1)
    const at = slot * columns
    const measured = this.#hosts[slot]!.measured ? columns : columns - 2
    for (let column = 0; column < measured; column++) rows.used[at + column]! += sign * this.#vector[column]!
    rows.containers[slot]! += sign
    if (sign > 0 && !rows.images[slot]!.has(demand.image)) {
      rows.images[slot]!.add(demand.image)
      rows.imageMask[slot]! |= imageBit(demand.image)
    }
    index.insert(slot)
    this.#countOpen(slot, 1)
    if (demand.constraints?.devices) addCounts(this.#devices[slot]!, demand.constraints.devices, -sign)
    if (demand.listens) this.#listens[slot] = changedListens(this.#listens[slot], demand.listens, sign)
    if (demand.group) this.#groups.change(slot, demand.group.name, sign)
    if (demand.project !== undefined) this.#charge(demand, sign)
  }

  #charge(demand: Demand, sign: 1 | -1): void {
    const project = this.#projects.get(demand.project!)
    if (!project) return
    const { cpuMilli, memoryBytes, diskBytes, pids } = demand.requests
    const used = {
      cpuMilli: project.used.cpuMilli + sign * cpuMilli,
      memoryBytes: project.used.memoryBytes + sign * memoryBytes,
      diskBytes: project.used.diskBytes + sign * diskBytes,
      pids: project.used.pids + sign * pids,
      containers: project.used.containers + sign,
    }
    this.#projects.set(demand.project!, { quota: project.quota, used })
  }

  /** Only pools that pack by holes count their open hosts. */
  #countOpen(slot: number, change: 1 | -1): void {
    const host = this.#hosts[slot]!
    if (!this.#poolOf(host).fill || !host.ready || host.cordoned || this.#rows.containers[slot] === 0) return
    const { used, capacity } = this.#rows
    const at = slot * columns
    const free = (column: number) => capacity[at + column]! - used[at + column]! > openShare * capacity[at + column]!
    if (!free(cpuColumn) || !free(memoryColumn)) return
    const pool = host.pool ?? defaultPool
    this.#open.set(pool, (this.#open.get(pool) ?? 0) + change)
  }
}

function addCounts(to: Record<string, number>, change: Readonly<Record<string, number>>, sign: number): void {
  for (const [key, value] of Object.entries(change)) to[key] = (to[key] ?? 0) + sign * value
}

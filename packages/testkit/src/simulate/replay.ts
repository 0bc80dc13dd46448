// Replays a trace on simulated hosts: workloads arrive, are placed by the policy, and leave; every so often loads are
// measured, hosts emptied and loads evened by the planners that the controller uses. Moves take no time here: what is
// looked at is where everything is, over days. Same trace, settings and seed: same replay.

import { LoadMap } from '@drover/scheduler'
import { Measures, typicalLarge } from './measures.ts'
import { createPlacer, type Placer } from './placer.ts'
import { planBalance, planEmptying } from './planners.ts'
import { cadence, type ReplaySettings, usedMemoryShare } from './settings.ts'
import { loadAt, type Trace, type Workload } from './trace.ts'

export interface ReplayResult {
  settings: ReplaySettings
  figures: Record<string, number>
  samples: Measures['samples']
}

/** Points of a plot; more can't be seen. */
const maxSamples = 600

export function replay(trace: Trace, settings: ReplaySettings): ReplayResult {
  const cluster = new Cluster(trace, settings)
  const departures = new Departures()
  const large = typicalLarge(trace.workloads)
  const measureS = Math.max(cadence.measureS, Math.ceil(trace.spanS / 20_000 / cadence.measureS) * cadence.measureS)
  const keepEvery = Math.max(1, Math.ceil(trace.spanS / measureS / maxSamples))
  let next = 0
  let rounds = 0
  // All that is left over by the last round still arrives; nothing is measured after that.
  for (let nowS = measureS; next < trace.workloads.length || nowS <= trace.spanS; nowS += measureS) {
    for (;;) {
      const arriving = trace.workloads[next]
      const arriveS = arriving && arriving.arriveS < nowS ? arriving.arriveS : Number.POSITIVE_INFINITY
      const leaving = departures.until(Math.min(arriveS, nowS))
      if (leaving) cluster.leave(leaving)
      else if (arriveS < nowS) {
        if (cluster.arrive(arriving!, arriveS) && arriving!.leaveS < Number.POSITIVE_INFINITY) departures.add(arriving!)
        next += 1
      } else break
    }
    const due = (everyS: number) => Math.floor(nowS / everyS) > Math.floor((nowS - measureS) / everyS)
    if (settings.consolidate && due(cadence.consolidateS)) {
      cluster.carryOut(planEmptying(cluster, settings, nowS), nowS, 'consolidation')
    }
    if (settings.rebalance && due(cadence.rebalanceS))
      cluster.carryOut(planBalance(cluster, trace, settings, nowS), nowS, 'balance')
    cluster.measure(nowS, measureS, large, rounds++ % keepEvery === 0)
  }
  const { measures } = cluster
  return { settings, figures: { ...measures.figures(), arrivals: measures.arrivals }, samples: measures.samples }
}

export interface Move {
  workload: Workload
  to: number
}

export interface PastMove {
  workload: Workload
  from: number
  to: number
  atS: number
}

export class Cluster {
  readonly on: Set<Workload>[]
  readonly where = new Map<Workload, number>()
  readonly measures: Measures
  /** Of the last day. */
  past: PastMove[] = []
  /** What rebalancing remembers from one round to the next. */
  balancing = false
  readonly #trace: Trace
  readonly #settings: ReplaySettings
  readonly #placer: Placer
  #inUse = 0

  constructor(trace: Trace, settings: ReplaySettings) {
    const { hosts, host, overcommit, policy, seed } = settings
    this.#trace = trace
    this.#settings = settings
    this.on = Array.from({ length: hosts }, () => new Set())
    this.measures = new Measures(hosts)
    const room = { count: hosts, cpuMilli: host.cpuMilli * overcommit, memoryBytes: host.memoryBytes }
    this.#placer = createPlacer(policy, room, seed)
  }

  /** False: no host has room for it. */
  arrive(workload: Workload, _nowS: number): boolean {
    this.measures.arrivals += 1
    const host = this.#placer.place(workload)
    if (host < 0) {
      this.measures.refusals += 1
      return false
    }
    this.#enter(workload, host)
    return true
  }

  leave(workload: Workload): void {
    const host = this.where.get(workload)!
    this.#placer.remove(workload, host)
    this.#exit(workload, host)
    this.where.delete(workload)
  }

  carryOut(moves: readonly Move[], nowS: number, kind: 'consolidation' | 'balance'): void {
    this.past = this.past.filter(({ atS }) => nowS - atS < 86_400)
    for (const { workload, to } of moves) {
      const from = this.where.get(workload)!
      this.#placer.remove(workload, from)
      this.#exit(workload, from)
      this.#placer.put(workload, to)
      this.#enter(workload, to)
      this.past.push({ workload, from, to, atS: nowS })
      this.measures.moves[kind] += 1
    }
  }

  measure(nowS: number, forS: number, large: { cpuMilli: number; memoryBytes: number }, keep: boolean): void {
    const { host, overcommit } = this.#settings
    const used: { cpuMilli: number; memoryBytes: number }[] = []
    let overloaded = 0
    const requested = { cpuMilli: 0, memoryBytes: 0 }
    const free = { cpuMilli: 0, memoryBytes: 0 }
    let slots = 0
    for (const workloads of this.on) {
      if (workloads.size === 0) continue
      const load = { cpuMilli: 0, memoryBytes: 0 }
      let cpuRequested = 0
      let memoryRequested = 0
      for (const workload of workloads) {
        cpuRequested += workload.cpuMilli
        load.cpuMilli += workload.cpuMilli * loadAt(workload, nowS, this.#trace)
        load.memoryBytes += usedMemoryShare * workload.memoryBytes
        memoryRequested += workload.memoryBytes
      }
      used.push(load)
      requested.cpuMilli += cpuRequested
      requested.memoryBytes += memoryRequested
      if (load.cpuMilli > host.cpuMilli * (1 + 1e-9)) overloaded += 1
      const cpuLeft = host.cpuMilli * overcommit - cpuRequested
      const memoryLeft = host.memoryBytes - memoryRequested
      free.cpuMilli += cpuLeft
      free.memoryBytes += memoryLeft
      slots += Math.floor(Math.min(cpuLeft / large.cpuMilli, memoryLeft / large.memoryBytes) + 1e-9)
    }
    const ideal = Math.floor(Math.min(free.cpuMilli / large.cpuMilli, free.memoryBytes / large.memoryBytes) + 1e-9)
    const sample = {
      atS: nowS,
      hostsInUse: this.#inUse,
      containers: this.where.size,
      hostsNeeded: Math.max(
        requested.cpuMilli / (host.cpuMilli * overcommit),
        requested.memoryBytes / host.memoryBytes,
      ),
      fragmentation: ideal === 0 ? 0 : 1 - slots / ideal,
      imbalance: new LoadMap(Array(used.length).fill(host), used).imbalance,
      overloaded,
    }
    this.measures.observe(sample, forS, keep)
  }

  #enter(workload: Workload, host: number): void {
    if (this.on[host]!.size === 0) this.#inUse += 1
    this.on[host]!.add(workload)
    this.where.set(workload, host)
    this.measures.sawHostsInUse(this.#inUse)
  }

  #exit(workload: Workload, host: number): void {
    this.on[host]!.delete(workload)
    if (this.on[host]!.size === 0) this.#inUse -= 1
  }
}

/** A binary heap of who leaves next. */
class Departures {
  readonly #heap: Workload[] = []

  add(workload: Workload): void {
    const heap = this.#heap
    let at = heap.push(workload) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (heap[parent]!.leaveS <= workload.leaveS) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = workload
  }

  /** Takes out the next one that leaves by `atS`, if any. */
  until(atS: number): Workload | null {
    const heap = this.#heap
    const first = heap[0]
    if (!first || first.leaveS > atS) return null
    const last = heap.pop()!
    if (heap.length > 0) {
      let at = 0
      for (;;) {
        let child = 2 * at + 1
        if (child >= heap.length) break
        if (child + 1 < heap.length && heap[child + 1]!.leaveS < heap[child]!.leaveS) child += 1
        if (heap[child]!.leaveS >= last.leaveS) break
        heap[at] = heap[child]!
        at = child
      }
      heap[at] = last
    }
    return first
  }
}

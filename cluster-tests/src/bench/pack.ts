// How few hosts hold a trace when its workloads arrive one by one and nobody leaves: by drover's packing, by the textbook
// rules in the same run, and after drover has repacked. The bound is what no packing can beat: all that is asked for, on
// hosts without a gap.

import {
  type ClusterSnapshot,
  type Demand,
  type HostSnapshot,
  MixWindow,
  Model,
  type PlacedContainer,
  place,
  repack,
  withPlaced,
} from '@drover/scheduler'
import { openTrace, type Trace } from '@drover/testkit/simulate'
import type { Bench } from './bench.ts'

export const packBench: Bench = {
  summary: 'hosts that a trace needs, in the order of arrival and after repacking',
  defaultN: 1,
  needsRoot: false,
  run: async ({ seed, trace: path, onProgress }) => {
    const trace = openTrace({ path, days: null, seed, stay: true })
    const all = trace.workloads.map(demandOf)
    const { fitting, refusals } = parted(all, trace.host)
    onProgress(`${trace.name}: ${fitting.length} workloads, ${refusals.length} too big for any host`)
    const online = packOnline(fitting, trace.host, seed, true)
    const plain = packOnline(fitting, trace.host, seed, false)
    onProgress('repacking')
    const plan = repack(snapshotOf(online, trace.host))
    const after = carriedOut(online, plan.moves, trace.host)
    const bound = lowerBound(fitting, trace.host)
    const figures = {
      workloads: fitting.length,
      refused: refusals.length,
      hosts_online: hostsUsed(online),
      hosts_after_rebalance: hostsUsed(after),
      moves: plan.moves.length,
      bound,
      above_bound_online_percent: percentAbove(hostsUsed(online), bound),
      above_bound_after_percent: percentAbove(hostsUsed(after), bound),
      hosts_online_without_mix: hostsUsed(plain),
      first_fit: peer(fitting, trace.host, () => 0),
      best_fit: peer(fitting, trace.host, (cpu, memory) => -cpu - memory),
      worst_fit: peer(fitting, trace.host, (cpu, memory) => cpu + memory),
    }
    return { figures, notes: [`Trace: ${trace.name}.`, ...refusals] }
  },
}

type Size = Trace['host']

/** A name per place, so that a replay knows each container. */
function demandOf({ name, cpuMilli, memoryBytes }: Trace['workloads'][number], index: number): Demand {
  const requests = { cpuMilli, memoryBytes, diskBytes: 0, pids: 0 }
  return { name: `${name}-${index}`, requests, image: 'trace', host: null, excluded: new Set(), live: true }
}

function emptyHost(index: number, { cpuMilli, memoryBytes }: Size): HostSnapshot {
  return {
    name: `h${String(index).padStart(6, '0')}`,
    capacity: { cpuMilli, memoryBytes, diskBytes: 0, pids: 0 },
    requested: { cpuMilli: 0, memoryBytes: 0, diskBytes: 0, pids: 0 },
    ready: true,
    cordoned: false,
    migratable: true,
    images: new Set(['trace']),
    containers: 0,
  }
}

/** Those that an empty host refuses are refused by name. */
function parted(demands: readonly Demand[], size: Size): { fitting: Demand[]; refusals: string[] } {
  const empty = { hosts: [emptyHost(0, size)] }
  const fitting: Demand[] = []
  const refusals: string[] = []
  for (const demand of demands) {
    const { host, placement } = place(empty, demand, 0)
    if (host !== null) fitting.push(demand)
    else refusals.push(`${demand.name}: ${placement.hosts[0]!.refusal}: ${placement.hosts[0]!.detail}`)
  }
  return { fitting, refusals }
}

type Packing = PlacedContainer[]

/** There are always hosts enough; the question is how many of them are used. */
function packOnline(demands: readonly Demand[], size: Size, seed: number, learn: boolean): Packing {
  const hosts = Array.from({ length: Math.ceil(lowerBound(demands, size) * 1.2) + 10 }, (_, at) => emptyHost(at, size))
  const model = new Model({ hosts }, seed)
  const mix = new MixWindow()
  return demands.map((demand): PlacedContainer => {
    const host = model.place(demand)
    if (host === null) throw new Error(`pack: ${hosts.length} hosts have no room for ${demand.name}`)
    if (mix.add(demand) && learn) model.setPolicy('default', { fill: mix.tables() })
    return { host, demand, movable: true }
  })
}

const hostsUsed = (packing: Packing): number => new Set(packing.map(({ host }) => host)).size

function snapshotOf(packing: Packing, size: Size): ClusterSnapshot {
  const used = [...new Set(packing.map(({ host }) => host))].sort()
  const byName = new Map(used.map((name) => [name, { ...emptyHost(0, size), name }]))
  for (const { host, demand } of packing) {
    byName.set(host, withPlaced({ hosts: [byName.get(host)!] }, host, demand).hosts[0]!)
  }
  return { hosts: [...byName.values()], containers: packing }
}

/** Move by move; one that finds no room would be a broken plan. */
function carriedOut(packing: Packing, moves: readonly { container: string; to: string }[], size: Size): Packing {
  const place = new Map(packing.map(({ host, demand }) => [demand.name, { host, demand }]))
  const free = new Map<string, { cpu: number; memory: number }>()
  const take = (host: string, { requests }: Demand, sign: 1 | -1) => {
    const room = free.get(host) ?? { cpu: size.cpuMilli, memory: size.memoryBytes }
    room.cpu -= sign * requests.cpuMilli
    room.memory -= sign * requests.memoryBytes
    if (room.cpu < 0 || room.memory < 0) throw new Error(`pack: a move to ${host} finds no room`)
    free.set(host, room)
  }
  for (const { host, demand } of packing) take(host, demand, 1)
  for (const { container, to } of moves) {
    const moving = place.get(container)!
    take(to, moving.demand, 1)
    take(moving.host, moving.demand, -1)
    moving.host = to
  }
  return [...place.values()].map((each) => ({ ...each, movable: true }))
}

function lowerBound(demands: readonly Demand[], { cpuMilli, memoryBytes }: Size): number {
  const cpu = demands.reduce((sum, { requests }) => sum + requests.cpuMilli, 0) / cpuMilli
  const memory = demands.reduce((sum, { requests }) => sum + requests.memoryBytes, 0) / memoryBytes
  return Math.ceil(Math.max(cpu, memory) - 1e-9)
}

const percentAbove = (hosts: number, bound: number): number => Math.round((hosts / bound - 1) * 10_000) / 100

/** A textbook rule: of the hosts in use that have the room, the best by what would be left; else a new one. */
function peer(demands: readonly Demand[], size: Size, rank: (cpuLeft: number, memoryLeft: number) => number): number {
  const free: { cpu: number; memory: number }[] = []
  for (const { requests } of demands) {
    let best: (typeof free)[number] | null = null
    let bestRank = -Infinity
    for (const host of free) {
      const cpu = host.cpu - requests.cpuMilli
      const memory = host.memory - requests.memoryBytes
      if (cpu < 0 || memory < 0) continue
      const ranked = rank(cpu / size.cpuMilli, memory / size.memoryBytes)
      if (ranked > bestRank) {
        best = host
        bestRank = ranked
      }
    }
    if (!best) {
      best = { cpu: size.cpuMilli, memory: size.memoryBytes }
      free.push(best)
    }
    best.cpu -= requests.cpuMilli
    best.memory -= requests.memoryBytes
  }
  return free.length
}

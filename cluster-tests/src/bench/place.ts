// Placements a second, one by one and in batches, on 100 to 10,000 hosts with what clusters ask for in practice: labels,
// architectures, groups that spread. Hosts are three quarters full and stay so: for each container placed one leaves. The
// peer is the exhaustive pipeline on the same state in the same run, and both must decide alike.

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import {
  type Constraints,
  type Demand,
  fillTables,
  type HostSnapshot,
  Model,
  place,
  placeBatch,
  withPlaced,
} from '@drover/scheduler'
import { generator } from '@drover/testkit/simulate'
import type { Bench } from './bench.ts'

const hostCounts = [100, 1000, 5000, 10_000] as const
const batchHosts = 5000
const batchSize = 1000
/** Of the demands that the exhaustive pipeline decides, too: it's slow. */
const compared = 40
const fullness = 0.75

export const placeBench: Bench = {
  summary: 'placements per second by hosts, against an exhaustive search',
  defaultN: 50_000,
  needsRoot: false,
  run: async ({ n, seed, onProgress }) => {
    const figures: Record<string, number> = {}
    let different = 0
    for (const count of hostCounts) {
      onProgress(`${count} hosts`)
      const before = memoryBytes()
      const cluster = filled(count, seed, null)
      figures[`model_mib_${count}`] = Math.round(((memoryBytes() - before) / 2 ** 20) * 10) / 10
      figures[`placements_per_s_${count}`] = churn(cluster, n)
      const peer = comparePeer(cluster)
      figures[`exhaustive_per_s_${count}`] = peer.perS
      different += peer.different
      if (count === batchHosts) figures[`batch_per_s_${count}`] = batches(cluster, n)
    }
    onProgress(`${batchHosts} hosts, packing by holes`)
    figures[`placements_by_holes_per_s_${batchHosts}`] = churn(filled(batchHosts, seed, sizes), n)
    figures.compared = compared * hostCounts.length
    figures.different = different
    const notes = [
      'Per second of processor time (user and system, the collector’s threads included), so that other work on the machine',
      `doesn’t count. exhaustive: the plain pipeline with its explanation; different: how many of ${figures.compared} decisions differ.`,
    ]
    return { figures, notes }
  },
}

interface Cluster {
  hosts: HostSnapshot[]
  model: Model
  /** What is on it, and where. */
  placed: { demand: Demand; host: string }[]
  next: () => Demand
  random: () => number
}

/** Cores and GiB of common workloads, about four GiB a core. */
const sizes = (
  [
    [3152, 5.5],
    [4000, 22],
    [8000, 30],
    [9810, 41],
    [11_300, 48],
    [12_000, 24],
    [18_708, 63],
    [32_000, 48],
  ] as const
).map(([cpuMilli, gib]) => ({ cpuMilli, memoryBytes: gib * 2 ** 30, count: 1 }))

function filled(count: number, seed: number, mix: typeof sizes | null): Cluster {
  const random = generator(seed)
  const hosts = Array.from({ length: count }, (_, index) => hostOf(index))
  const pool = mix ? { fill: fillTables(mix) } : {}
  const model = new Model({ hosts, pools: { default: pool } }, seed)
  const cluster: Cluster = { hosts, model, placed: [], next: demands(random), random }
  let toFill = hosts.reduce((sum, { capacity }) => sum + capacity.cpuMilli, 0) * fullness
  while (toFill > 0) {
    const demand = cluster.next()
    toFill -= demand.requests.cpuMilli
    const host = model.place(demand)
    if (host !== null) cluster.placed.push({ demand, host })
  }
  return cluster
}

function hostOf(index: number): HostSnapshot {
  const large = index % 8 === 0
  return {
    name: `h${index}`,
    capacity: {
      cpuMilli: large ? 128_000 : 96_000,
      memoryBytes: (large ? 512 : 384) * 2 ** 30,
      diskBytes: 4 * 2 ** 40,
      pids: 1_000_000,
    },
    requested: { cpuMilli: 0, memoryBytes: 0, diskBytes: 0, pids: 0 },
    ready: true,
    cordoned: index % 50 === 7,
    migratable: true,
    images: new Set(),
    containers: 0,
    limits: { inotifyWatches: 1_000_000, bridgePorts: 1023 },
    architecture: index % 10 === 3 ? 'aarch64' : 'x86_64',
    labels: { disk: index % 4 === 0 ? 'ssd' : 'hdd' },
    rack: `r${Math.floor(index / 40)}`,
    zone: `z${index % 3}`,
  }
}

/** Three in ten are constrained, in the ways that clusters know best. */
function demands(random: () => number): () => Demand {
  const kinds: (Constraints | undefined)[] = [
    { labels: { disk: 'ssd' } },
    { architecture: 'aarch64' },
    { architecture: 'x86_64', labels: { disk: 'hdd' } },
  ]
  const none: ReadonlySet<string> = new Set()
  let serial = 0
  return () => {
    serial += 1
    const { cpuMilli, memoryBytes } = sizes[Math.floor(random() * sizes.length)]!
    const lot = random()
    const constraints = lot < 0.15 ? kinds[Math.floor(lot * 20)] : undefined
    const group = `g${Math.floor(random() * 400)}`
    return {
      name: `c${serial}`,
      requests: { cpuMilli, memoryBytes, diskBytes: Math.ceil(random() * 40) * 2 ** 30, pids: 1024 },
      image: `i${Math.floor(random() * 30)}`,
      host: null,
      excluded: none,
      live: false,
      limits: { inotifyWatches: 200, bridgePorts: 1 },
      ...(constraints ? { constraints } : {}),
      ...(lot > 0.9
        ? { group: { name: group, kind: 'spread', strict: false, topology: 'rack' } as const }
        : lot > 0.85
          ? { group: { name: group, kind: 'spread', strict: true, topology: 'host', maxPerDomain: 2 } as const }
          : {}),
    }
  }
}

/** As many leave as are placed, so that the cluster stays as full as it is; only the placements are timed. */
function churn({ hosts, model, placed, next, random }: Cluster, n: number): number {
  const step = Math.min(500, hosts.length)
  let spentUs = 0
  for (let done = 0; done < n; done += step) {
    const coming = Array.from({ length: step }, next)
    const startedUs = processorUs()
    const chosen = coming.map((demand) => model.place(demand))
    spentUs += processorUs() - startedUs
    for (const [index, host] of chosen.entries()) {
      const at = Math.floor(random() * placed.length)
      const leaving = placed[at]!
      model.remove(leaving.demand, leaving.host)
      if (host !== null) placed[at] = { demand: coming[index]!, host }
      else placed.splice(at, 1)
    }
  }
  return perSecond(Math.ceil(n / step) * step, spentUs)
}

function batches(cluster: Cluster, n: number): number {
  const { model, placed, next } = cluster
  let spentUs = 0
  let done = 0
  while (done < n) {
    const demands = Array.from({ length: batchSize }, next)
    const startedUs = processorUs()
    const { hosts } = placeBatch(model, demands)
    spentUs += processorUs() - startedUs
    done += batchSize
    for (const [index, host] of hosts.entries()) if (host !== null) placed.push({ demand: demands[index]!, host })
    for (const { demand, host } of placed.splice(0, batchSize)) model.remove(demand, host)
  }
  return perSecond(done, spentUs)
}

function comparePeer({ hosts, model, placed, next }: Cluster): { perS: number; different: number } {
  const byName = new Map(hosts.map((host) => [host.name, host]))
  const held = new Map<string, Demand[]>()
  for (const { demand, host } of placed) held.set(host, [...(held.get(host) ?? []), demand])
  for (const [name, demands] of held) {
    let snapshot = { hosts: [byName.get(name)!] }
    for (const demand of demands) snapshot = withPlaced(snapshot, name, demand) as typeof snapshot
    byName.set(name, snapshot.hosts[0]!)
  }
  // Images of containers that have left stay in the model; an image that no host has decides nothing.
  const snapshot = { hosts: [...byName.values()] }
  const coming = Array.from({ length: compared }, () => ({ ...next(), image: 'new' }))
  const startedUs = processorUs()
  const chosen = coming.map((demand) => place(snapshot, demand, model.seed).host)
  const perS = perSecond(compared, processorUs() - startedUs)
  return { perS, different: coming.filter((demand, index) => model.find(demand) !== chosen[index]).length }
}

const perSecond = (n: number, us: number): number => Math.round((n / us) * 1e6)

function processorUs(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}

function memoryBytes(): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

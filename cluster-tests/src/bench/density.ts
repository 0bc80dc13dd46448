// What an idle container costs in memory beyond its own processes', before and after n of them, with the caches dropped and no longer
// moving. Kernel side: slab, vmalloc (stacks too), per-CPU memory and page tables as /proc/meminfo has them, less the page tables of the
// containers' own processes; so namespaces, mounts, veth, cgroups and inodes are in it. User side: the anonymous memory of the engine
// and of every monitor. These counters stand still where other work on the machine makes MemAvailable jump; `available_kb_per_container`
// is what that says, for comparison. Next to LXC and podman, and a floor in C with the same namespaces, cgroups and a veth, by
// turns in the same run.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { protocolVersion } from '@drover/protocol'
import { waitUntil } from '@drover/testkit/lab'
import { median } from '../figures.ts'
import type { Bench, BenchOptions, BenchOutcome } from './bench.ts'
import { BenchHost } from './bench-host.ts'
import { fetchPeer, type Runtime } from './runtime.ts'
import { droverRuntime } from './runtime-drover.ts'
import { floorRuntime } from './runtime-floor.ts'
import { lxcRuntime } from './runtime-lxc.ts'
import { podmanRuntime } from './runtime-podman.ts'

const rounds = 3
const underWay = 4
/** busybox's init and its one service. */
const processesEach = 2
/** Of user ids that only containers have. */
const firstContainerUid = 1_000_000
const runningDeadlineMs = 120_000
/** The kernel ends networks and cgroups in the background; what moves less than this between looks counts as still. */
const stillKb = 512
const looks = 3
const lookMs = 500
const mostLooks = 20

export const densityBench: Bench = {
  summary: 'memory of an idle container beyond its own processes’, next to LXC, podman and a floor',
  defaultN: 200,
  ratios: {
    over_floor: ['kb_per_container', 'floor_kb_per_container'],
    over_lxc: ['kb_per_container', 'lxc_kb_per_container'],
  },
  needsRoot: true,
  run: measure,
}

async function measure({ n, onProgress }: BenchOptions): Promise<BenchOutcome> {
  const host = await BenchHost.start(onProgress)
  try {
    await host.end(host.client.launch({ name: 'bench-0' }))
    await host.alone('bench-0')
    const { runtimes, missing } = await findRuntimes(host, onProgress)
    const costs = new Map<string, Cost[]>()
    let serial = 1
    for (let round = 1; round <= rounds; round++) {
      for (const runtime of runtimes) {
        if (missing[runtime.name] !== undefined) continue
        const serials = Array.from({ length: n }, () => serial++)
        try {
          const cost = await measureOne(host, runtime, serials)
          costs.set(runtime.name, [...(costs.get(runtime.name) ?? []), cost])
          onProgress(`round ${round} of ${rounds}: ${runtime.name} ${Math.round(cost.beyondKb)} kB each`)
        } catch (error) {
          if (runtime.name === 'drover') throw error
          missing[runtime.name] = (error as Error).message
          costs.delete(runtime.name)
          onProgress(`${runtime.name} is left out: ${missing[runtime.name]}`)
        }
      }
    }
    return outcome(costs, missing, n)
  } finally {
    await host.close()
  }
}

async function findRuntimes(host: BenchHost, onProgress: (line: string) => void) {
  const runtimes: Runtime[] = [droverRuntime(host), floorRuntime(host, true)]
  const missing: Record<string, string> = {}
  for (const [program, make] of [
    ['lxc', lxcRuntime],
    ['podman', podmanRuntime],
  ] as const) {
    const reason = await fetchPeer(program === 'lxc' ? 'lxc-start' : program, program, onProgress)
    if (reason === null) runtimes.push(make(host))
    else missing[program] = reason
  }
  return { runtimes, missing }
}

function outcome(costs: Map<string, Cost[]>, missing: Record<string, string>, n: number): BenchOutcome {
  const of = (name: string, key: keyof Cost) => {
    const all = costs.get(name)
    return all === undefined ? null : Math.round(median(all.map((cost) => cost[key])))
  }
  return {
    figures: {
      kb_per_container: of('drover', 'beyondKb'),
      floor_kb_per_container: of('floor_veth', 'beyondKb'),
      lxc_kb_per_container: of('lxc', 'beyondKb'),
      podman_kb_per_container: of('podman', 'beyondKb'),
      engine_rss_kb: of('drover', 'engineKb'),
      available_kb_per_container: of('drover', 'availableKb'),
      floor_available_kb_per_container: of('floor_veth', 'availableKb'),
      total_kb_per_container: of('drover', 'totalKb'),
      floor_total_kb_per_container: of('floor_veth', 'totalKb'),
      lxc_total_kb_per_container: of('lxc', 'totalKb'),
      podman_total_kb_per_container: of('podman', 'totalKb'),
      n,
      rounds,
    },
    notes: [
      'kb_per_container: beyond the anonymous memory and page tables of its own processes (init and one service); total: with them.',
      'Medians of the rounds. drover, LXC and the floor with a veth and an address; podman without. Other work on the machine shows.',
      ...Object.entries(missing).map(([name, reason]) => `${name}: ${reason}`),
    ],
  }
}

interface Cost {
  totalKb: number
  beyondKb: number
  availableKb: number
  engineKb: number
}

async function measureOne(host: BenchHost, runtime: Runtime, serials: number[]): Promise<Cost> {
  await atOnce(serials, runtime.prepare)
  const before = await still(host)
  await atOnce(serials, runtime.start)
  const wanted = serials.length * processesEach
  const running = () => processes(host).own.length >= wanted
  await waitUntil(`${wanted} processes of ${runtime.name}`, runningDeadlineMs, running)
  const after = await still(host)
  const own = processes(host).own.map(memoryOf)
  const anonymousKb = own.reduce((sum, { anonymous }) => sum + anonymous, 0)
  const tablesKb = own.reduce((sum, { tables }) => sum + tables, 0)
  const { residentBytes } = await host.engine.call('hello', { protocolVersion })
  await atOnce(serials, runtime.kill)
  await atOnce(serials, runtime.remove)
  const beyondKb = after.kernel - before.kernel + after.monitors - before.monitors - tablesKb
  return {
    totalKb: (beyondKb + anonymousKb + tablesKb) / serials.length,
    beyondKb: beyondKb / serials.length,
    availableKb: (before.available - after.available - anonymousKb - tablesKb) / serials.length,
    engineKb: residentBytes / 1024,
  }
}

async function atOnce(serials: number[], work: (serial: number) => Promise<unknown>): Promise<void> {
  const left = serials.slice()
  const worker = async () => {
    for (let serial = left.shift(); serial !== undefined; serial = left.shift()) await work(serial)
  }
  await Promise.all(Array.from({ length: underWay }, worker))
}

interface Memory {
  kernel: number
  available: number
  monitors: number
}

/** Once the kernel's memory stands still, with the caches dropped; written back first, as dropping leaves out what is not yet on disk. */
async function still(host: BenchHost): Promise<Memory> {
  const seen: Memory[] = []
  for (let look = 0; look < mostLooks; look++) {
    await host.must(['sync'], { inside: false })
    writeFileSync('/proc/sys/vm/drop_caches', '3')
    await sleep(lookMs)
    seen.push(memory(host))
    const last = seen.slice(-looks).map(({ kernel }) => kernel)
    if (last.length === looks && Math.max(...last) - Math.min(...last) < stillKb) break
  }
  const last = seen.slice(-looks)
  return {
    kernel: median(last.map(({ kernel }) => kernel)),
    available: median(last.map(({ available }) => available)),
    monitors: median(last.map(({ monitors }) => monitors)),
  }
}

function memory(host: BenchHost): Memory {
  const text = readFileSync('/proc/meminfo', 'utf8')
  const keys = ['Slab', 'VmallocUsed', 'Percpu', 'PageTables']
  return {
    kernel: keys.reduce((sum, key) => sum + kilobytes(text, key), 0),
    available: kilobytes(text, 'MemAvailable'),
    monitors: processes(host).others.reduce((sum, pid) => sum + memoryOf(pid).anonymous, 0),
  }
}

/** Processes of this laboratory: those of the containers (by their user ids), and the others. */
function processes(host: BenchHost): { own: number[]; others: number[] } {
  const found = { own: [] as number[], others: [] as number[] }
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    try {
      if (!readFileSync(`/proc/${name}/cgroup`, 'utf8').includes(`-${host.lab.id}/`)) continue
      const uid = Number(/^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${name}/status`, 'utf8'))?.[1])
      found[uid >= firstContainerUid ? 'own' : 'others'].push(Number(name))
    } catch {}
  }
  return found
}

/** kB of anonymous memory and of page tables; nothing of a process that has ended. */
function memoryOf(pid: number): { anonymous: number; tables: number } {
  try {
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    return { anonymous: kilobytes(rollup, 'Pss_Anon'), tables: kilobytes(status, 'VmPTE') }
  } catch {
    return { anonymous: 0, tables: 0 }
  }
}

function kilobytes(text: string, key: string): number {
  return Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0)
}

// How fast a container starts: from the call until its first process runs, and until a TCP service inside answers; how fast it is killed;
// how many a second, with none and with almost a thousand others running; and whole systems with systemd. In the same run, with the same root file system, the
// same init and the same clocks: lxc-start, crun run, runc run, and a floor of ours in C that does only what the kernel asks for.
// drover is asked through its engine's socket (clones, cgroups with limits, overlay, veth on the bridge with address, record on
// disk); `cluster_launch` is the whole way through API, Raft log, agent and back.

import { readFileSync, rmSync } from 'node:fs'
import { median, percentile, rounded } from '../figures.ts'
import { Answer } from './answer.ts'
import type { Bench, BenchOptions, BenchOutcome } from './bench.ts'
import { BenchHost } from './bench-host.ts'
import { fetchPeer, nowMs, type Runtime } from './runtime.ts'
import { droverRuntime } from './runtime-drover.ts'
import { floorRuntime } from './runtime-floor.ts'
import { lxcRuntime } from './runtime-lxc.ts'
import { ociRuntime } from './runtime-oci.ts'
import { measureRates } from './start-rates.ts'
import { measureSystemd } from './start-systemd.ts'

/** Not counted: the first ones read programs and files from disk. */
const warmUps = 2
const clusterLaunches = 5
/** A whole system takes a second or more. */
const mostBoots = 7

export const startBench: Bench = {
  summary: 'start and kill of a container, next to LXC, crun, runc and a floor; starts per second',
  defaultN: 15,
  ratios: {
    pid1_over_floor: ['pid1_ms_p50', 'floor_pid1_ms_p50'],
    pid1_over_lxc: ['pid1_ms_p50', 'lxc_pid1_ms_p50'],
    starts_over_floor: ['starts_per_s', 'floor_starts_per_s'],
    starts_at_1000_over_floor: ['starts_per_s_at_1000', 'floor_starts_per_s_at_1000'],
  },
  needsRoot: true,
  run: measure,
}

async function measure({ n, only, onProgress }: BenchOptions): Promise<BenchOutcome> {
  const host = await BenchHost.start(onProgress)
  try {
    const figures: BenchOutcome['figures'] = {}
    const notes = [
      'pid1: from the call to the first instruction of the first process; service: to the first byte from a TCP port inside;',
      'stop: SIGKILL until all is gone. Medians in ms. LXC, like drover, with a veth and an address; crun, runc and floor without.',
    ]
    const launch = await launches(host)
    await host.alone('bench-0')
    // A SYN that waits for its neighbour should wait no longer than the measuring is exact.
    await host.must(['sh', '-c', 'echo 5 > /proc/sys/net/ipv4/neigh/br0/retrans_time_ms'])
    const { runtimes, missing } = await findRuntimes(host, onProgress)
    const ofSystemd = async () => {
      const { figures: more, notes: said } = await measureSystemd(host, Math.min(n, mostBoots), missing, onProgress)
      Object.assign(figures, more)
      notes.push(...said)
      return { figures, notes }
    }
    if (only === 'systemd') return await ofSystemd()
    if (only === 'rates') return { figures: { ...(await measureRates(host, onProgress)) }, notes }
    const latencies = await measureLatencies(host, runtimes, n, missing, onProgress)
    notes.push(...Object.entries(missing).map(([name, reason]) => `${name}: ${reason}`))
    for (const name of ['drover', 'floor', 'floor_veth', 'lxc', 'crun', 'runc']) {
      const prefix = name === 'drover' ? '' : `${name}_`
      const of = latencies.get(name)
      figures[`${prefix}pid1_ms_p50`] = of ? rounded(median(of.map(({ pid1 }) => pid1))) : null
      figures[`${prefix}service_ms_p50`] = of ? rounded(median(of.map(({ service }) => service))) : null
      figures[`${prefix}stop_ms_p50`] = of ? rounded(median(of.map(({ stop }) => stop))) : null
    }
    figures.pid1_ms_p90 = rounded(percentile(latencies.get('drover')?.map(({ pid1 }) => pid1) ?? [], 0.9))
    figures.cluster_launch_ms_p50 = rounded(median(launch))
    Object.assign(figures, await measureRates(host, onProgress))
    figures.n = n
    return await ofSystemd()
  } finally {
    await host.close()
  }
}

/** Launches through the cluster, one by one; the first container stays. */
async function launches(host: BenchHost): Promise<number[]> {
  const took: number[] = []
  for (let at = 0; at < clusterLaunches; at++) {
    const before = nowMs()
    await host.end(host.client.launch({ name: `bench-${at}` }))
    took.push(nowMs() - before)
  }
  for (let at = 1; at < clusterLaunches; at++) await host.end(host.client.delete(`bench-${at}`))
  return took
}

async function findRuntimes(host: BenchHost, onProgress: (line: string) => void) {
  const runtimes: Runtime[] = [droverRuntime(host), floorRuntime(host, false), floorRuntime(host, true)]
  const missing: Record<string, string> = {}
  for (const [program, make] of [
    ['lxc', () => lxcRuntime(host)],
    ['crun', () => ociRuntime(host, 'crun')],
    ['runc', () => ociRuntime(host, 'runc')],
  ] as const) {
    const reason = await fetchPeer(program === 'lxc' ? 'lxc-start' : program, program, onProgress)
    if (reason === null) runtimes.push(make())
    else missing[program] = reason
  }
  return { runtimes, missing }
}

interface Latency {
  pid1: number
  service: number
  stop: number
}

/** Round by round all of them, so that whatever else the machine does hits all alike. A peer that fails is left out, with its reason. */
async function measureLatencies(
  host: BenchHost,
  runtimes: Runtime[],
  n: number,
  missing: Record<string, string>,
  onProgress: (line: string) => void,
) {
  const latencies = new Map<string, Latency[]>()
  for (let at = 0; at < n + warmUps; at++) {
    for (const [index, runtime] of runtimes.entries()) {
      if (missing[runtime.name] !== undefined) continue
      try {
        // No two have the same address: the kernel may take a while to end a network.
        const latency = await measureOne(host, runtime, 1 + at * runtimes.length + index)
        if (at >= warmUps) latencies.set(runtime.name, [...(latencies.get(runtime.name) ?? []), latency])
      } catch (error) {
        if (runtime.name === 'drover') throw error
        missing[runtime.name] = (error as Error).message
        latencies.delete(runtime.name)
        onProgress(`${runtime.name} is left out: ${missing[runtime.name]}`)
      }
    }
    if (at < warmUps) continue
    const line = [...latencies].map(([name, of]) => `${name} ${of.at(-1)?.pid1.toFixed(1)}`).join(', ')
    onProgress(`start ${at + 1 - warmUps} of ${n}: ${line} ms`)
  }
  return latencies
}

async function measureOne(host: BenchHost, runtime: Runtime, serial: number): Promise<Latency> {
  await runtime.prepare(serial)
  rmSync(runtime.stampFile(serial), { force: true })
  const answer = await Answer.watch(host, runtime.name, runtime.reach(serial))
  try {
    const before = await runtime.start(serial)
    const answered = await answer.moment
    const stamped = Number(readFileSync(runtime.stampFile(serial), 'utf8')) / 1e6
    const stop = await runtime.kill(serial)
    await runtime.remove(serial)
    return { pid1: stamped - before, service: answered - before, stop }
  } finally {
    answer.end()
  }
}

// Emptying a host: idle containers leave it for two others, half for each, by one `host evacuate`. Containers per minute from the request to the end of the
// operation, blackouts as clients see them, and what a container costs the daemons in processor time. Every tenth has a client with a TCP
// stream that must not break and ticks fast enough to tell the blackout; the others are asked before and after whether they are who they were, and left
// alone meanwhile. A tick costs a tenth of a millisecond of processor time, most of it the network's: were all of them to tick like that,
// they would take what the moves need. Then the containers are brought back and the host is emptied again with a slow stream to each of the others,
// too. `--phases` shows how it scales with `parallel`: once more with 1, 2, 4 and 8 at once.

import { setTimeout as pause } from 'node:timers/promises'
import { DroverClient } from '@drover/client'
import type { Container } from '@drover/protocol'
import { Lab, withCorePace } from '@drover/testkit/lab'
import { maximum, median, mediansByKey, onlyDurations, percentile, rounded } from '../figures.ts'
import { Witness } from '../witness.ts'
import type { Bench, BenchOptions, BenchOutcome } from './bench.ts'
import { criuFloor } from './criu-floor.ts'
import { daemonCpuMsByKind } from './daemon-cpu.ts'
import { ended } from './ended.ts'
import { machineCpuMs } from './machine-cpu.ts'

const deadlineMs = 30 * 60_000
const launchesAtOnce = 8
/** Of every tenth stream: the blackouts that are told are true to so much. */
const closeTickMs = 20
const closeEach = 10
/** Of the others, where they are connected: often enough to show that nothing was lost. */
const farTickMs = 500
const witnessesAtOnce = 40
const parallels = [1, 2, 4, 8]
const floorMoves = 20
/** What the daemons do when nothing happens comes in turns of a few seconds: some of them. */
const restMs = 16_000
const idle = { cpuMilli: 1, memoryBytes: 16 << 20, diskBytes: 0 }

export const evacuateBench: Bench = {
  summary: 'a host is emptied of idle containers',
  defaultN: 200,
  ratios: { machine_over_criu_floor: ['machine_cpu_ms_per_container', 'criu_floor_cpu_ms_per_container'] },
  needsRoot: true,
  run: measure,
}

async function measure({ n, seed, phases, onProgress }: BenchOptions): Promise<BenchOutcome> {
  const figures: BenchOutcome['figures'] = {}
  const notes: string[] = []
  const lab = await Lab.start({ onProgress, capacity: capacityFor(n) })
  try {
    const client = new DroverClient({ endpoints: lab.endpoints, secret: lab.secret })
    const [home, ...others] = lab.hosts.map(({ name }) => name) as [string, ...string[]]
    await ended(client, client.buildImage({ recipe: 'busybox', name: 'busybox' }), deadlineMs)
    await launch(client, home, n, onProgress)
    for (const host of others)
      await ended(client, client.launch({ ...resident(n), name: `resident-${host}`, host }), deadlineMs)
    Object.assign(figures, await atRest(lab))
    const first = await evacuate(lab, client, home, { seed })
    Object.assign(figures, first.figures)
    notes.push(`of each move, medians: ${JSON.stringify(mediansByKey(first.records))}`)
    const again = async (how: Evacuation) => {
      await ended(client, client.restore(home, { bringBack: true }), deadlineMs)
      await everyoneOn(client, home)
      return (await evacuate(lab, client, home, how)).figures
    }
    const connected = await again({ seed, connected: true })
    for (const key of ['containers_per_min', 'stream_ticks_per_s', 'core_loop_us', 'failures'] as const)
      figures[`connected_${key}`] = connected[key]
    for (const parallel of phases ? parallels : []) {
      const scaled = await again({ seed, parallel })
      figures[`containers_per_min_parallel_${parallel}`] = scaled.containers_per_min as number
      figures[`blackout_ms_p50_parallel_${parallel}`] = scaled.blackout_ms_p50 as number
    }
  } finally {
    await lab.down()
  }
  figures.criu_floor_cpu_ms_per_container = rounded((await criuFloor(floorMoves, onProgress)).cpuMs)
  return { figures, notes }
}

/** The scheduler packs: so that they go to both other hosts, each of these has one container that leaves room for half of them. */
const resident = (n: number) => ({ ...idle, memoryBytes: Math.max(1, Math.floor(n / 2)) * idle.memoryBytes })
const capacityFor = (n: number) => ({
  cpuMilli: 1_000_000,
  memoryBytes: (n + 2) * idle.memoryBytes,
  diskBytes: 2 ** 44,
  pids: 4_000_000,
})

/** Processor time of the daemons while nothing happens and nobody asks, per second. */
async function atRest(lab: Lab): Promise<BenchOutcome['figures']> {
  const before = daemonCpuMsByKind(lab)
  await pause(restMs)
  const perSecond = Object.entries(daemonCpuMsByKind(lab)).map(
    ([kind, ms]) => [kind, ((ms - (before[kind] ?? 0)) * 1000) / restMs] as const,
  )
  return {
    rest_cpu_ms_per_s: rounded(perSecond.reduce((sum, [, ms]) => sum + ms, 0)),
    ...Object.fromEntries(perSecond.map(([kind, ms]) => [`rest_${kind}_cpu_ms_per_s`, rounded(ms)])),
  }
}

interface Evacuation {
  /** Says which containers are watched closely. */
  seed: number
  /** Moves at once; as many as `host evacuate` chooses. */
  parallel?: number
  /** Whether a client is connected to those, too, that are not watched closely. */
  connected?: boolean
}

async function evacuate(lab: Lab, client: DroverClient, home: string, { seed, parallel, connected }: Evacuation) {
  const before = (await client.containers()).filter(({ host }) => host === home)
  const witnesses = await watch(lab, before, seed, connected === true)
  const cpuBefore = daemonCpuMsByKind(lab)
  const machineBefore = machineCpuMs()
  const { result: operation, pace } = await withCorePace(() =>
    ended(client, client.evacuate(home, parallel === undefined ? {} : { parallel }), deadlineMs),
  )
  const cpuMs = Object.entries(daemonCpuMsByKind(lab)).map(([kind, ms]) => [kind, ms - (cpuBefore[kind] ?? 0)] as const)
  const machine = machineCpuMs(machineBefore)
  const tookMs = (operation.endedAtMs ?? 0) - operation.createdAtMs

  const after = new Map((await client.containers()).map((container) => [container.name, container]))
  const verdicts = await Promise.all(
    witnesses.map(({ witness }) => witness.verdict(after.get(witness.name) as Container)),
  )
  for (const { witness } of witnesses) witness.close()
  const moved = before.filter(({ name }) => after.get(name)?.host !== home)
  const ticksPerS = witnesses.reduce((sum, { tickMs }) => sum + (tickMs === null ? 0 : 1000 / tickMs), 0)
  const blackouts = verdicts.flatMap(({ blackoutMs }, at) =>
    witnesses[at]?.tickMs === closeTickMs ? (blackoutMs ?? []) : [],
  )
  const moves = (await client.operations()).filter(
    ({ kind, createdAtMs }) => kind === 'move' && createdAtMs >= operation.createdAtMs,
  )
  const pauses = moves.flatMap(({ migration }) => migration?.figures.blackout_ms ?? [])
  const perContainer = (ms: number) => rounded(ms / Math.max(1, moved.length))
  const percentOfMachine = (ms: number) =>
    rounded((ms * 100) / Math.max(1, machine.busyMs + machine.idleMs + machine.stolenMs))
  return {
    records: moves.map(({ migration }) => onlyDurations(migration?.figures ?? {})),
    figures: {
      containers_per_min: rounded((moved.length * 60_000) / tookMs),
      seconds: rounded(tookMs / 1000),
      blackout_ms_p50: rounded(median(blackouts)),
      blackout_ms_p99: rounded(percentile(blackouts, 0.99)),
      blackout_ms_max: rounded(maximum(blackouts)),
      paused_ms_p50: rounded(median(pauses)),
      paused_ms_p99: rounded(percentile(pauses, 0.99)),
      cpu_ms_per_container: perContainer(cpuMs.reduce((sum, [, ms]) => sum + ms, 0)),
      ...Object.fromEntries(cpuMs.map(([kind, ms]) => [`${kind}_cpu_ms_per_container`, perContainer(ms)])),
      machine_cpu_ms_per_container: perContainer(machine.busyMs),
      stream_ticks_per_s: rounded(ticksPerS),
      machine_idle_percent: percentOfMachine(machine.idleMs),
      machine_stolen_percent: percentOfMachine(machine.stolenMs),
      ...pace,
      failures: verdicts.filter(({ unbroken }) => !unbroken).length + before.length - moved.length,
      retries: moves.length - moved.length,
      restarts: before.filter(({ name, starts }) => after.get(name)?.starts !== starts).length,
    },
  }
}

/** Calls on all of them; who has no tick is left alone after that. */
async function watch(lab: Lab, containers: readonly Container[], seed: number, connected: boolean) {
  const witnesses: { witness: Witness; tickMs: number | null }[] = []
  for (let from = 0; from < containers.length; from += witnessesAtOnce) {
    const opened = containers.slice(from, from + witnessesAtOnce).map(async (container, at) => {
      const close = (from + at + seed) % closeEach === 0
      const witness = await Witness.of(lab, container, close ? closeTickMs : farTickMs)
      if (!close && !connected) witness.leave()
      return { witness, tickMs: close ? closeTickMs : connected ? farTickMs : null }
    })
    witnesses.push(...(await Promise.all(opened)))
  }
  for (const { witness } of witnesses) witness.mark()
  return witnesses
}

async function launch(
  client: DroverClient,
  host: string,
  n: number,
  onProgress: (line: string) => void,
): Promise<void> {
  const names = Array.from({ length: n }, (_, at) => `idle-${at + 1}`)
  let launched = 0
  const worker = async () => {
    for (let name = names.shift(); name !== undefined; name = names.shift()) {
      await ended(client, client.launch({ ...idle, name, host }), deadlineMs)
      launched += 1
      if (launched % 25 === 0 || launched === n) onProgress(`${launched} of ${n} run on ${host}`)
    }
  }
  await Promise.all(Array.from({ length: launchesAtOnce }, worker))
}

async function everyoneOn(client: DroverClient, host: string): Promise<void> {
  for (const { name, host: at } of await client.containers()) {
    if (name.startsWith('idle-') && at !== host) await ended(client, client.move(name, { host }), deadlineMs)
  }
}

// Blackout of live moves as a client outside sees it: several workloads, each moved around three hosts under its load, watched over a TCP
// stream that ticks every millisecond. The floor of the same run is CRIU alone: its dump plus its restore of the same busybox
// processes with nothing of drover loaded into it, by the engine's clock. Moves are asked for through the API rather than the
// command line, whose start would compete for the cores that are being measured.

import { DroverClient } from '@drover/client'
import { DroverError } from '@drover/protocol'
import { Lab } from '@drover/testkit/lab'
import { maximum, median, mediansByKey, onlyDurations, percentile, rounded } from '../figures.ts'
import { Witness } from '../witness.ts'
import type { Bench, BenchOptions, BenchOutcome } from './bench.ts'
import { criuFloor } from './criu-floor.ts'
import { daemonCpuMs } from './daemon-cpu.ts'
import { ended } from './ended.ts'
import { makeLayers } from './migrate-layers.ts'
import { type Workload, workloads } from './migrate-workloads.ts'

/** Moves that are not counted: the first on each host reads CRIU and the image from disk. */
const warmUps = 3
const moveDeadlineMs = 120_000
const buildDeadlineMs = 600_000
const tickMs = 1
const floorMoves = 15

export const migrateBench: Bench = {
  summary: 'blackout of a live move, as a client sees it: busybox, systemd, Redis, PostgreSQL',
  defaultN: 100,
  ratios: { idle_busybox_over_floor: ['idle_busybox_ms_p50', 'criu_floor_ms_p50'] },
  needsRoot: true,
  run: measure,
}

interface Moves {
  blackouts: number[]
  records: Record<string, number>[]
  cpuMsPerMove: number
  load: string
}

async function measure(options: BenchOptions): Promise<BenchOutcome> {
  const { n, onProgress, phases, only } = options
  const chosen = workloads.filter(({ name }) => only === null || name === only)
  const images = [...new Set(chosen.map(({ image }) => image))].filter((image) => image !== 'busybox')
  const layers = await makeLayers(images, onProgress)
  const figures: Record<string, number | null> = {}
  const notes: string[] = []
  const lab = await Lab.start({ onProgress, layersDirectory: layers.directory })
  try {
    for (const workload of chosen) {
      const moves = await attempt(lab, workload, options, layers.missing[workload.image])
      if (typeof moves === 'string') notes.push(`${workload.name}: null, ${moves}`)
      Object.assign(figures, figuresOf(workload, typeof moves === 'string' ? null : moves))
      if (typeof moves === 'string') continue
      if (moves.load !== '') notes.push(`${workload.name}: ${moves.load}`)
      if (phases) notes.push(`${workload.name}: ${JSON.stringify(mediansByKey(moves.records.map(onlyDurations)))}`)
    }
  } finally {
    await lab.down()
  }
  if (only === null)
    figures.criu_floor_ms_p50 = rounded((await criuFloor(Math.min(n, floorMoves), onProgress)).durationMs)
  return { figures, notes: [...notes, ...explanations] }
}

const explanations = [
  'blackout: longest silence of a TCP stream with a tick each millisecond, minus the usual time between ticks',
  'criu_floor: dump plus restore of the busybox processes by CRIU alone, with none of drover’s changes to it',
  'cpu_ms_per_move: processor time of all daemons of the three hosts over the busybox moves, CRIU and tar among it',
  'blackout_bytes: what the source sends from the freeze on, of the busybox moves',
]

function figuresOf({ name }: Workload, moves: Moves | null): Record<string, number | null> {
  const of = (figure: (moves: Moves) => number) => (moves === null ? null : rounded(figure(moves)))
  return {
    [`${name}_ms_p50`]: of(({ blackouts }) => median(blackouts)),
    [`${name}_ms_p90`]: of(({ blackouts }) => percentile(blackouts, 0.9)),
    [`${name}_ms_p99`]: of(({ blackouts }) => percentile(blackouts, 0.99)),
    [`${name}_ms_max`]: of(({ blackouts }) => maximum(blackouts)),
    [`${name}_n`]: moves?.blackouts.length ?? 0,
    [`${name}_blackout_bytes_p50`]: of(({ records }) => median(records.map((record) => record.switch_bytes ?? 0))),
    ...(name === 'idle_busybox'
      ? {
          cpu_ms_per_move: of(({ cpuMsPerMove }) => cpuMsPerMove),
          blackout_bytes_p50: of(({ records }) => median(records.map((record) => record.switch_bytes ?? 0))),
        }
      : {}),
  }
}

/** The moves of one workload, or why it could not be measured. */
async function attempt(lab: Lab, workload: Workload, options: BenchOptions, missing?: string): Promise<Moves | string> {
  if (missing !== undefined) return `no image ${workload.image}: ${missing}`
  try {
    return await moveAround(lab, workload, Math.max(1, Math.ceil(options.n * workload.share)), options)
  } catch (error) {
    // A laboratory without its first workload is broken: that is an error of the benchmark.
    if (workload.name === 'idle_busybox') throw error
    return (error as Error).message
  }
}

async function moveAround(lab: Lab, workload: Workload, n: number, { seed, onProgress }: BenchOptions): Promise<Moves> {
  const client = new DroverClient({ endpoints: lab.endpoints, secret: lab.secret })
  const name = workload.name.replaceAll('_', '-')
  const recipe = workload.image === 'busybox' ? 'busybox' : 'debian'
  if (!(await client.images()).some((image) => image.name === workload.image)) {
    await ended(client, client.buildImage({ recipe, name: workload.image }), buildDeadlineMs)
  }
  const { image, memoryBytes, limits } = workload
  const request = { name, image, memoryBytes, ...(limits === undefined ? {} : { limits }) }
  await ended(client, client.launch(request), moveDeadlineMs)
  let container = await client.container(name)
  await workload.begin(lab, container)
  const witness = await Witness.of(lab, container, tickMs)
  const load = workload.load?.(lab, container)
  const hosts = lab.hosts.map((host) => host.name)
  const moves: Moves = { blackouts: [], records: [], cpuMsPerMove: 0, load: '' }
  let cpuBefore = 0
  for (let at = 0; at < n + warmUps; at++) {
    if (at === warmUps) cpuBefore = daemonCpuMs(lab)
    const others = hosts.filter((host) => host !== container.host)
    const host = others[(at + seed) % others.length] as string
    witness.mark()
    if (at >= warmUps) load?.mark?.()
    const operation = await ended(client, client.move(name, { host }), moveDeadlineMs)
    container = await client.container(name)
    const verdict = await witness.verdict(container)
    if (!verdict.unbroken || verdict.blackoutMs === null) {
      throw new DroverError('INTERNAL', `move ${at + 1} to ${host} was noticed: ${verdict.detail}`)
    }
    if (at < warmUps) continue
    moves.blackouts.push(verdict.blackoutMs)
    moves.records.push(operation.migration?.figures ?? {})
    onProgress(`${workload.name} ${at + 1 - warmUps} of ${n} to ${host}: ${verdict.blackoutMs.toFixed(1)} ms`)
  }
  moves.cpuMsPerMove = (daemonCpuMs(lab) - cpuBefore) / n
  witness.close()
  moves.load = (await load?.end()) ?? ''
  await ended(client, client.delete(name), moveDeadlineMs)
  return moves
}

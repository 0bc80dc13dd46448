// Emptying a host: idle containers leave it for two others, by one `host evacuate`. Containers per minute from the request to the end of the
// operation, the blackout of each as a client sees it whose TCP stream ticks every 20 ms (a faster one would take the processors that the
// moves need), and what a container costs the daemons in processor time. `--phases` shows how it scales with `parallel`: the
// containers are brought back and the host is emptied again, with 1, 2, 4 and 8 at once.

import { DroverClient } from '@drover/client'
import { type Container, DroverError, type Operation } from '@drover/protocol'
import { Lab } from '@drover/testkit/lab'
import { maximum, median, mediansByKey, onlyDurations, percentile, rounded } from '../figures.ts'
import { Witness } from '../witness.ts'
import type { Bench, BenchOptions, BenchOutcome } from './bench.ts'
import { daemonCpuMsByKind } from './daemon-cpu.ts'

const deadlineMs = 30 * 60_000
const launchesAtOnce = 8
const witnessTickMs = 20
const witnessesAtOnce = 8
const parallels = [1, 2, 4, 8]
const capacity = { cpuMilli: 1_000_000, memoryBytes: 2 ** 40, diskBytes: 2 ** 44, pids: 4_000_000 }

export const evacuateBench: Bench = {
  summary: 'a host is emptied of idle containers',
  defaultN: 200,
  needsRoot: true,
  run: measure,
}

async function measure({ n, phases, onProgress }: BenchOptions): Promise<BenchOutcome> {
  const lab = await Lab.start({ onProgress, capacity })
  try {
    const client = new DroverClient({ endpoints: lab.endpoints, secret: lab.secret })
    const [home] = lab.hosts.map(({ name }) => name) as [string]
    await ended(client, client.buildImage({ recipe: 'busybox', name: 'busybox' }))
    await launch(client, home, n, onProgress)
    const figures: BenchOutcome['figures'] = {}
    const first = await evacuate(lab, client, home, null)
    Object.assign(figures, first.figures)
    const notes = [`of each move, medians: ${JSON.stringify(mediansByKey(first.records))}`]
    for (const parallel of phases ? parallels : []) {
      await ended(client, client.restore(home, { bringBack: true }))
      await everyoneOn(client, home)
      const { figures: scaled } = await evacuate(lab, client, home, parallel)
      figures[`containers_per_min_parallel_${parallel}`] = scaled.containers_per_min as number
      figures[`blackout_ms_p50_parallel_${parallel}`] = scaled.blackout_ms_p50 as number
    }
    return { figures, notes }
  } finally {
    await lab.down()
  }
}

async function evacuate(lab: Lab, client: DroverClient, home: string, parallel: number | null) {
  const before = await client.containers()
  const witnesses: Witness[] = []
  for (let at = 0; at < before.length; at += witnessesAtOnce) {
    const some = before.slice(at, at + witnessesAtOnce)
    witnesses.push(...(await Promise.all(some.map((container) => Witness.of(lab, container, witnessTickMs)))))
  }
  for (const witness of witnesses) witness.mark()
  const cpuBefore = daemonCpuMsByKind(lab)
  const operation = await ended(client, client.evacuate(home, parallel === null ? {} : { parallel }))
  const cpuMs = Object.entries(daemonCpuMsByKind(lab)).map(([kind, ms]) => [kind, ms - (cpuBefore[kind] ?? 0)] as const)
  const tookMs = (operation.endedAtMs ?? 0) - operation.createdAtMs

  const after = new Map((await client.containers()).map((container) => [container.name, container]))
  const verdicts = await Promise.all(witnesses.map((witness) => witness.verdict(after.get(witness.name) as Container)))
  for (const witness of witnesses) witness.close()
  const moved = before.filter(({ name }) => after.get(name)?.host !== home)
  const blackouts = verdicts.flatMap(({ blackoutMs }) => blackoutMs ?? [])
  const moves = (await client.operations()).filter(
    ({ kind, createdAtMs }) => kind === 'move' && createdAtMs >= operation.createdAtMs,
  )
  const perContainer = (ms: number) => rounded(ms / Math.max(1, moved.length))
  return {
    records: moves.map(({ migration }) => onlyDurations(migration?.figures ?? {})),
    figures: {
      containers_per_min: rounded((moved.length * 60_000) / tookMs),
      seconds: rounded(tookMs / 1000),
      blackout_ms_p50: rounded(median(blackouts)),
      blackout_ms_p99: rounded(percentile(blackouts, 0.99)),
      blackout_ms_max: rounded(maximum(blackouts)),
      cpu_ms_per_container: perContainer(cpuMs.reduce((sum, [, ms]) => sum + ms, 0)),
      ...Object.fromEntries(cpuMs.map(([kind, ms]) => [`${kind}_cpu_ms_per_container`, perContainer(ms)])),
      failures: verdicts.filter(({ unbroken }) => !unbroken).length + before.length - moved.length,
      retries: moves.length - moved.length,
      restarts: before.filter(({ name, starts }) => after.get(name)?.starts !== starts).length,
    },
  }
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
      await ended(client, client.launch({ name, host, cpuMilli: 1, memoryBytes: 16 << 20, diskBytes: 0 }))
      launched += 1
      if (launched % 25 === 0 || launched === n) onProgress(`${launched} of ${n} run on ${host}`)
    }
  }
  await Promise.all(Array.from({ length: launchesAtOnce }, worker))
}

async function everyoneOn(client: DroverClient, host: string): Promise<void> {
  for (const { name, host: at } of await client.containers()) {
    if (at !== host) await ended(client, client.move(name, { host }))
  }
}

async function ended(client: DroverClient, asked: Promise<{ id: string }>): Promise<Operation> {
  const operation = await client.waitOperation((await asked).id, { deadlineMs })
  if (operation.state === 'done') return operation
  throw new DroverError(
    'INTERNAL',
    `${operation.kind} of ${operation.target} ended ${operation.state}: ${operation.error?.message}`,
  )
}

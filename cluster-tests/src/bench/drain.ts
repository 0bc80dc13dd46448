// Emptying a host that is full of idle containers: how long it takes, the blackout of each, and whether any failed or was started
// anew. Three hosts; all containers begin on the first. Asked for through the API, as the command line would.

import { DroverClient } from '@drover/client'
import { type Container, DroverError, type Operation } from '@drover/protocol'
import { Lab } from '@drover/testkit/lab'
import { maximum, percentile, rounded } from '../figures.ts'
import type { Bench, BenchOptions, BenchOutcome } from './bench.ts'

/** A second per container and a few minutes: what takes longer is no drain but a standstill. */
const deadlineMsOf = (n: number) => 180_000 + n * 5_000
const launchesAtOnce = 8
/** Containers that leave at once: preparing overlaps, blackouts go one by one. */
const parallel = 8
const plenty = { cpuMilli: 1_000_000, memoryBytes: 2 ** 40, diskBytes: 2 ** 44, pids: 4_000_000 }

export const drainBench: Bench = {
  summary: 'emptying a host with idle containers aboard: time, blackouts, failures',
  defaultN: 200,
  needsRoot: true,
  run: measure,
}

async function measure({ n, onProgress }: BenchOptions): Promise<BenchOutcome> {
  const lab = await Lab.start({ onProgress, capacity: plenty })
  try {
    const client = new DroverClient({ endpoints: lab.endpoints, secret: lab.secret })
    const [source] = lab.hosts.map(({ name }) => name) as [string]
    await end(client, client.buildImage({ recipe: 'busybox' }), n)
    await launchAll(client, source, n, onProgress)
    const before = new Map((await client.containers()).map((each) => [each.name, each]))
    const begun = await client.evacuate(source, { parallel })
    const operation = await client.waitOperation(begun.id, { deadlineMs: deadlineMsOf(n) })
    const moves = (await client.operations()).filter(({ parent }) => parent === begun.id)
    return outcome(operation, moves, before, await client.containers(), source)
  } finally {
    await lab.down()
  }
}

async function launchAll(
  client: DroverClient,
  host: string,
  n: number,
  onProgress: (line: string) => void,
): Promise<void> {
  const names = Array.from({ length: n }, (_, at) => `idle-${at + 1}`)
  let launched = 0
  const worker = async () => {
    for (let name = names.shift(); name !== undefined; name = names.shift()) {
      await end(client, client.launch({ name, host, cpuMilli: 1, memoryBytes: 16 << 20, diskBytes: 0 }), n)
      launched += 1
      if (launched % 25 === 0 || launched === n) onProgress(`${launched} of ${n} launched`)
    }
  }
  await Promise.all(Array.from({ length: launchesAtOnce }, worker))
}

async function end(client: DroverClient, begun: Promise<Operation>, n: number): Promise<void> {
  const ended = await client.waitOperation((await begun).id, { deadlineMs: deadlineMsOf(n) })
  if (ended.state === 'done') return
  throw new DroverError('INTERNAL', `${ended.kind} of ${ended.target} ended ${ended.state}: ${ended.error?.message}`)
}

function outcome(
  operation: Operation,
  moves: readonly Operation[],
  before: ReadonlyMap<string, Container>,
  after: readonly Container[],
  source: string,
): BenchOutcome {
  const done = moves.filter(({ state }) => state === 'done')
  const blackouts = done.flatMap(({ migration }) => migration?.figures.blackout_ms ?? [])
  const seconds = ((operation.endedAtMs ?? operation.updatedAtMs) - operation.createdAtMs) / 1000
  const left = after.filter(({ host }) => host === source).length
  return {
    figures: {
      containers: before.size,
      drain_s: rounded(seconds),
      moves_per_s: rounded(done.length / seconds),
      blackout_ms_p50: rounded(percentile(blackouts, 0.5)),
      blackout_ms_p99: rounded(percentile(blackouts, 0.99)),
      blackout_ms_max: rounded(maximum(blackouts)),
      failures: left,
      failed_tries: moves.length - done.length,
      restarts: after.reduce((sum, { name, starts }) => sum + starts - (before.get(name)?.starts ?? 0), 0),
    },
    notes: [
      'drain: from the evacuation’s beginning to its end, clean-up on both sides included',
      'blackout: from the freeze on the source to the thaw on the destination, by the engines’ clocks',
      'failures: containers still on the host at the end',
    ],
  }
}

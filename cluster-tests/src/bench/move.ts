// Blackout of a live move: an idle busybox container, watched over TCP by a client outside, moved n times around three hosts.
// The floor in the same run is what CRIU alone took: its dump plus its restore, by the engine's clock. Moves are asked for
// through the API rather than the command line, whose start would compete for the two cores that are being measured.

import { DroverClient } from '@drover/client'
import { type Container, DroverError } from '@drover/protocol'
import { Lab } from '@drover/testkit/lab'
import { maximum, median, mediansByKey, percentile, rounded } from '../figures.ts'
import { Witness } from '../witness.ts'
import type { Bench, BenchOptions, BenchOutcome } from './bench.ts'

/** Moves that are not counted: the first on each host reads CRIU and the image from disk. */
const warmUps = 3
const moveDeadlineMs = 60_000

export const moveBench: Bench = {
  summary: 'blackout of a live move of an idle busybox container, as a TCP client sees it',
  defaultN: 21,
  needsRoot: true,
  run: measure,
}

async function measure({ n, seed, onProgress }: BenchOptions): Promise<BenchOutcome> {
  const lab = await Lab.start({ onProgress })
  try {
    const client = new DroverClient({ endpoints: lab.endpoints, secret: lab.secret })
    const end = async (operation: Promise<{ id: string }>) => {
      const ended = await client.waitOperation((await operation).id, { deadlineMs: moveDeadlineMs })
      if (ended.state !== 'done') {
        throw new DroverError(
          'INTERNAL',
          `${ended.kind} of ${ended.target} ended ${ended.state}: ${ended.error?.message}`,
        )
      }
      return ended
    }
    await end(client.buildImage({ recipe: 'busybox' }))
    await end(client.launch({ name: 'bench' }))
    const hosts = lab.hosts.map((host) => host.name)
    let container = await client.container('bench')
    const first = container
    const witness = await Witness.of(lab, container)
    const blackouts: number[] = []
    const records: Record<string, number>[] = []
    for (let at = 0; at < n + warmUps; at++) {
      const others = hosts.filter((host) => host !== container.host)
      const host = others[(at + seed) % others.length] as string
      witness.mark()
      const operation = await end(client.move('bench', { host }))
      container = await client.container('bench')
      const verdict = await witness.verdict(container)
      if (!verdict.unbroken || verdict.blackoutMs === null) {
        throw new DroverError('INTERNAL', `move ${at + 1} to ${host} was noticed: ${verdict.detail}`)
      }
      if (at < warmUps) continue
      blackouts.push(verdict.blackoutMs)
      records.push(operation.migration?.figures ?? {})
      onProgress(`move ${at + 1 - warmUps} of ${n} to ${host}: ${verdict.blackoutMs.toFixed(1)} ms`)
    }
    witness.close()
    return outcome(blackouts, records, first, container)
  } finally {
    await lab.down()
  }
}

function outcome(
  blackouts: number[],
  records: Record<string, number>[],
  first: Container,
  last: Container,
): BenchOutcome {
  const medians = mediansByKey(records.map(onlyDurations))
  const floors = records.map(({ dump_ms: dump, restore_ms: restore }) => (dump ?? 0) + (restore ?? 0))
  return {
    figures: {
      blackout_ms_p50: rounded(median(blackouts)),
      blackout_ms_p90: rounded(percentile(blackouts, 0.9)),
      blackout_ms_max: rounded(maximum(blackouts)),
      floor_criu_ms_p50: rounded(median(floors)),
      n: blackouts.length,
      restarts: last.starts - first.starts,
      ...Object.fromEntries(Object.entries(medians).map(([key, value]) => [`median_${key}`, value])),
    },
    notes: [
      'blackout: longest silence of a TCP stream with a tick each 10 ms, minus the usual time between ticks',
      'floor_criu: dump plus restore by the engine’s clock, i.e. what CRIU alone needed',
    ],
  }
}

/** Durations and sizes; moments in time have no median worth showing. */
function onlyDurations(figures: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(figures).filter(([key]) => !/At(Ns|Ms)$/.test(key)))
}

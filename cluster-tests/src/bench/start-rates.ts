// Starts a second by the engine alone, several calls under way, a hundred containers at a time until a thousand run: the first hundred
// and the last are the figures, and all in between show whether the rate is flat. The floor does the same right after, so that a reader
// sees how much of the fall is the kernel's own, for seven namespaces, cgroups and a port of a bridge with a thousand.

import { freemem } from 'node:os'
import { type CorePace, withCorePace } from '@drover/testkit/lab'
import { rounded } from '../figures.ts'
import type { BenchHost } from './bench-host.ts'
import { nowMs } from './runtime.ts'
import { droverRuntime } from './runtime-drover.ts'
import { floorRates } from './runtime-floor.ts'

/** A bridge has 1,023 ports. */
const most = 1000
const batch = 100
/** Above the cores: a start waits for the kernel most of the time. */
const underWay = 8
/** Several times what a batch takes: the kernel begins its own kinds of pages in the largest free blocks, wherever those are. */
const touchedMiB = 1024
/** Above those of the latencies. */
const firstSerial = 4000

export async function measureRates(
  host: BenchHost,
  onProgress: (line: string) => void,
): Promise<Record<string, number>> {
  const runtime = droverRuntime(host)
  const serials = Array.from({ length: most }, (_, index) => firstSerial + index)
  const created = await perSecond(serials, runtime.prepare)
  onProgress(`${most} containers created, ${Math.round(created)} a second`)
  const rates: number[] = []
  const paces: CorePace[] = []
  for (let at = 0; at < most; at += batch) {
    await touchMemory(host)
    const { result, pace } = await withCorePace(() => perSecond(serials.slice(at, at + batch), runtime.start))
    rates.push(result)
    paces.push(pace)
    onProgress(`${at + batch} containers run, ${Math.round(result)} starts a second`)
  }
  const removed = await perSecond(serials, runtime.remove)
  onProgress(`all removed, ${Math.round(removed)} a second`)
  const floor = await floorRates(host, { firstSerial, count: most, batch, underWay, touchedMiB: touchable() })
  onProgress(`the floor: ${floor.map(Math.round).join(', ')} starts a second`)
  return {
    starts_per_s: rounded(rates[0] as number),
    starts_per_s_at_1000: rounded(rates.at(-1) as number),
    starts_per_s_least: rounded(Math.min(...rates)),
    starts_core_loop_us: paces[0]?.core_loop_us ?? 0,
    starts_core_loop_us_at_1000: paces.at(-1)?.core_loop_us ?? 0,
    floor_starts_per_s: rounded(floor[0] as number),
    floor_starts_per_s_at_1000: rounded(floor.at(-1) as number),
    creates_per_s: rounded(created),
    removals_per_s_at_1000: rounded(removed),
  }
}

/**
 * Before each batch, or it would be measured how fast the hypervisor of a virtual machine gives memory back that it had taken as free: it
 * takes it within seconds, long before a thousand run.
 */
async function touchMemory(host: BenchHost): Promise<void> {
  await host.must([host.tool, 'touch', String(touchable())], { inside: false })
}

const touchable = (): number => Math.max(1, Math.min(touchedMiB, Math.floor(freemem() / 2 ** 21)))

async function perSecond(serials: number[], work: (serial: number) => Promise<unknown>): Promise<number> {
  const before = nowMs()
  const left = serials.slice()
  const worker = async () => {
    for (let serial = left.shift(); serial !== undefined; serial = left.shift()) await work(serial)
  }
  await Promise.all(Array.from({ length: underWay }, worker))
  return (serials.length * 1000) / (nowMs() - before)
}

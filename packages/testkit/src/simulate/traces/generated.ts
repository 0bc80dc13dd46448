// A trace for machines that have none: by seed. Shaped after what the public ones show: arrivals that breathe with the day
// and come in batches, sizes in powers of two with few large ones, most lifetimes minutes and some of them weeks
// (log-normal), loads that idle with a daily swing and bursts.

import { generator } from '../random.ts'
import { GiB, type Trace, type Workload } from '../trace.ts'

const dayS = 86_400
const stepS = 300

export interface GeneratedOptions {
  days: number
  seed: number
  /** Arrivals per day, about. */
  perDay?: number
}

export function generatedTrace({ days, seed, perDay = 8_000 }: GeneratedOptions): Trace {
  const random = generator(seed)
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
  const workloads: Workload[] = []
  const spanS = days * dayS
  let nowS = 0
  for (;;) {
    const tide = 1 + 0.6 * Math.sin((2 * Math.PI * nowS) / dayS)
    const batch = 1 + Math.floor(-Math.log(1 - random()) * 2)
    nowS += (-Math.log(1 - random()) * dayS * 2.5) / (perDay * tide)
    if (nowS >= spanS) break
    const cores = 2 ** Math.min(5, Math.floor(-Math.log(1 - random()) * 1.4))
    const gibPerCore = [1.75, 2, 4, 7][Math.floor(random() * 4)]!
    for (let each = 0; each < batch; each++) {
      const livesS = Math.min(30 * dayS, Math.max(60, 1800 * Math.exp(2 * normal())))
      workloads.push({
        name: `w-${workloads.length}`,
        arriveS: nowS,
        leaveS: nowS + livesS,
        cpuMilli: 1000 * cores,
        memoryBytes: GiB * gibPerCore * cores,
        loads: loadsOf(spanS, random),
      })
    }
  }
  const host = { cpuMilli: 96_000, memoryBytes: 384 * GiB }
  return { name: `generated, seed ${seed}`, workloads, spanS, loadStepS: stepS, host, overcommit: 2 }
}

/** All replays share a few dozen shapes of load: they are many numbers. */
const shapes = 64
const known = new Map<string, Float32Array[]>()

function loadsOf(spanS: number, random: () => number): Float32Array {
  const key = `${spanS}`
  let table = known.get(key)
  if (!table) {
    const own = generator(1)
    table = Array.from({ length: shapes }, () => shape(Math.ceil(spanS / stepS), own))
    known.set(key, table)
  }
  return table[Math.floor(random() * shapes)]!
}

function shape(steps: number, random: () => number): Float32Array {
  const base = 0.02 + 0.3 * random() ** 3
  const swing = 0.5 * random()
  const phase = random()
  let burst = 0
  return Float32Array.from({ length: steps }, (_, step) => {
    if (random() < 0.01) burst = random()
    burst *= 0.8
    const tide = 1 + swing * Math.sin(2 * Math.PI * ((step * stepS) / dayS + phase))
    return Math.min(1, Math.max(0, base * tide + burst + 0.02 * (random() - 0.5)))
  })
}

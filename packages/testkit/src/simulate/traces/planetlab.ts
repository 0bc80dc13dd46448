// PlanetLab: a day of cpu use, every five minutes, of 1,052 machines; most of them idle. Each becomes a container of one
// core that stays. For more than a day, each goes on with another machine's day, drawn by the seed.

import { generator } from '../random.ts'
import { GiB, type Trace, type Workload } from '../trace.ts'
import { linesOf, numberOf } from './file.ts'

export const planetlabHeader = 'vm,cpu000,'

const stepS = 300

export function readPlanetlab(path: string, days: number, seed: number): Trace {
  const [, ...lines] = linesOf(path)
  const rows = lines.map((text, index) => {
    const fields = text.split(',').slice(1)
    return Float32Array.from(fields, (field) => numberOf(field, 'cpu', index + 2) / 100)
  })
  const steps = rows[0]?.length ?? 0
  const random = generator(seed)
  const turns = Array.from({ length: days }, (_, day) => (day === 0 ? 0 : Math.floor(random() * rows.length)))
  const workloads = rows.map((_, index): Workload => {
    const loads = new Float32Array(steps * days)
    turns.forEach((turn, day) => void loads.set(rows[(index + turn) % rows.length]!, day * steps))
    return {
      name: `vm-${index}`,
      arriveS: 0,
      leaveS: Number.POSITIVE_INFINITY,
      cpuMilli: 1000,
      memoryBytes: GiB / 2,
      loads,
    }
  })
  const host = { cpuMilli: 16_000, memoryBytes: 64 * GiB }
  return { name: 'PlanetLab', workloads, spanS: steps * days * stepS, loadStepS: stepS, host, overcommit: 6 }
}

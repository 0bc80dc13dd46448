// Azure 2017 as processed by Huawei (trace_generation_rnn): arrivals in bins of five minutes, each a flavour's letter, in
// tenants' batches; lifetimes in a second file of the same shape, as bins of growing width; sizes in a third.
// Within a bin, and within a lifetime's bin, the moment is drawn by the seed.

import { dirname, join } from 'node:path'
import { generator } from '../random.ts'
import { GiB, type Trace, type Workload } from '../trace.ts'
import { linesOf, numberOf } from './file.ts'

const binS = 300
const hourS = 3600
const dayS = 86_400

/** When a lifetime of bin `b` ends at the latest; the README of the data gives the three widths. */
function binEndS(bin: number): number {
  if (bin < 0) return 0
  if (bin <= 12) return bin * binS
  return bin <= 35 ? (bin - 11) * hourS : (bin - 34) * dayS
}

/** `path`: the file of flavours; durations and the map of sizes lie beside it. */
export function readAzure(path: string, seed: number): Trace {
  const sizes = readSizes(join(dirname(path), 'azure_v1_flavor_map.txt'))
  const flavours = linesOf(path)
  const durations = linesOf(path.replace('flavors', 'durations'))
  if (durations.length !== flavours.length) {
    throw new Error(`${path}: ${flavours.length} bins of flavours, but ${durations.length} of durations`)
  }
  const random = generator(seed)
  const workloads: Workload[] = []
  const startS = numberOf(flavours[0]?.split(' ')[0], 'the first bin’s time', 1)
  for (const [index, line] of flavours.entries()) {
    const [time, list = ''] = line.split(' ')
    const letters = list.split(',')
    const lifetimes = (durations[index]!.split(' ')[1] ?? '').split(',')
    const binStartS = numberOf(time, 'time', index + 1) - startS
    for (const [at, letter] of letters.entries()) {
      if (letter === '' || letter === '|') continue
      const size = sizes.get(letter)
      if (!size) throw new Error(`${path}: line ${index + 1}: there is no flavour ${JSON.stringify(letter)}`)
      const bin = numberOf(lifetimes[at]?.slice(1), 'lifetime', index + 1)
      const arriveS = binStartS + random() * binS
      const shortest = binEndS(bin - 1)
      const livesS = Math.max(1, shortest + random() * (binEndS(bin) - shortest))
      // C: it still ran when the trace ended, so how long it lives is not known.
      const leaveS = lifetimes[at]!.startsWith('C') ? Number.POSITIVE_INFINITY : arriveS + livesS
      workloads.push({ name: `vm-${workloads.length}`, arriveS, leaveS, ...size, loads: null })
    }
  }
  workloads.sort((left, right) => left.arriveS - right.arriveS)
  const spanS = flavours.length * binS
  const host = { cpuMilli: 96_000, memoryBytes: 384 * GiB }
  return { name: 'Azure 2017', workloads, spanS, loadStepS: binS, host, overcommit: 1 }
}

function readSizes(path: string): Map<string, { cpuMilli: number; memoryBytes: number }> {
  return new Map(
    linesOf(path).map((line, index) => {
      const [size = '', letter = ''] = line.split(' ')
      const [cpu, memory] = size.split(',')
      const cpuMilli = 1000 * numberOf(cpu, 'vCPU', index + 1)
      return [letter, { cpuMilli, memoryBytes: GiB * numberOf(memory, 'memory', index + 1) }]
    }),
  )
}

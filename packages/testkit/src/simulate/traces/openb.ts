// Alibaba's openb cluster (cluster-trace-gpu-v2023): one workload a line, with its size and when it came and went.
// GPUs are left out: hosts here have none. What never ended, or ended when the trace did, stays.

import { GiB, type Trace, type Workload } from '../trace.ts'
import { linesOf, numberOf } from './file.ts'

export const openbHeader = 'name,cpu_milli,memory_mib,num_gpu'

/** `stay`: nobody leaves, for pure packing in the order of arrival. */
export function readOpenb(path: string, stay: boolean): Trace {
  const [header, ...lines] = linesOf(path)
  const names = (header ?? '').split(',')
  const column = (name: string) => {
    const at = names.indexOf(name)
    if (at < 0) throw new Error(`${path}: there is no column ${name}`)
    return at
  }
  const [name, cpu, memory] = [column('name'), column('cpu_milli'), column('memory_mib')]
  const [arrive, leave] = [column('creation_time'), column('deletion_time')]
  const workloads = lines.map((text, index): Workload => {
    const fields = text.split(',')
    const line = index + 2
    const arriveS = numberOf(fields[arrive], 'creation_time', line)
    return {
      name: fields[name] ?? `w${line}`,
      arriveS,
      leaveS: stay || !fields[leave] ? Number.POSITIVE_INFINITY : numberOf(fields[leave], 'deletion_time', line),
      cpuMilli: numberOf(fields[cpu], 'cpu_milli', line),
      memoryBytes: numberOf(fields[memory], 'memory_mib', line) * 2 ** 20,
      loads: null,
    }
  })
  workloads.sort((left, right) => left.arriveS - right.arriveS)
  const spanS = workloads.at(-1)?.arriveS ?? 0
  const host = { cpuMilli: 96_000, memoryBytes: 384 * GiB }
  return { name: stay ? 'openb, nobody leaves' : 'openb', workloads, spanS, loadStepS: 300, host, overcommit: 1 }
}

// Processor time of the whole machine, whoever used it: what a benchmark costs beside the daemons (its clients, the containers, the kernel's
// own threads) and how much of the machine stood idle meanwhile.

import { readFileSync } from 'node:fs'

/** USER_HZ, the unit of /proc/stat: 100 on every architecture that Linux runs on here. */
const tickMs = 10

export interface MachineCpu {
  busyMs: number
  idleMs: number
  /** Wanted, and given by the hypervisor to other machines. */
  stolenMs: number
}

/** Since boot, or since `before`, over all processors. */
export function machineCpuMs(before: MachineCpu = { busyMs: 0, idleMs: 0, stolenMs: 0 }): MachineCpu {
  const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n', 1)
  // user, nice, system, idle, iowait, irq, softirq, steal; the guests' time after them is in user.
  const times = line
    .trim()
    .split(/\s+/)
    .slice(1, 9)
    .map((field) => Number(field) * tickMs)
  const idleMs = (times[3] ?? 0) + (times[4] ?? 0)
  const stolenMs = times[7] ?? 0
  const allMs = times.reduce((sum, ms) => sum + ms, 0)
  return {
    busyMs: allMs - idleMs - stolenMs - before.busyMs,
    idleMs: idleMs - before.idleMs,
    stolenMs: stolenMs - before.stolenMs,
  }
}

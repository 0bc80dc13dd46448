// Processor time that the daemons of a laboratory have used, with the children that they have waited for.

import { readFileSync } from 'node:fs'
import { type DaemonKind, daemonKinds } from '@drover/cli/daemons'
import type { Lab } from '@drover/testkit/lab'

/** USER_HZ, the unit of /proc/PID/stat: 100 on every architecture that Linux runs on here. */
const tickMs = 10

export const daemonCpuMs = (lab: Lab): number => Object.values(daemonCpuMsByKind(lab)).reduce((sum, ms) => sum + ms, 0)

export function daemonCpuMsByKind(lab: Lab): Record<string, number> {
  const of = (kind: DaemonKind) => {
    const pids = lab.hosts.map(({ name }) => lab.pidOf(name, kind)).filter((pid) => pid !== null)
    return pids.reduce((sum, pid) => sum + cpuMsOf(pid), 0)
  }
  return Object.fromEntries(daemonKinds.map((kind) => [kind, of(kind)]))
}

/** Of the processes that the engines have started and waited for: CRIU, and what containers were. */
export const engineChildrenCpuMs = (lab: Lab): number =>
  lab.hosts.reduce((sum, { name }) => sum + childrenCpuMsOf(lab.pidOf(name, 'engine')), 0)

// utime, stime, cutime, cstime are fields 14 to 17.
const cpuMsOf = (pid: number): number => statTicks(pid, 14, 17) * tickMs
const childrenCpuMsOf = (pid: number | null): number => (pid === null ? 0 : statTicks(pid, 16, 17) * tickMs)

/** The sum of fields `from` to `to`, counted as proc(5) does. */
function statTicks(pid: number, from: number, to: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The name, field 2, may hold spaces.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return fields.slice(from - 3, to - 2).reduce((total, field) => total + Number(field), 0)
}

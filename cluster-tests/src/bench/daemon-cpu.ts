// Processor time that the daemons of a laboratory have used, with the children that they have waited for.

import { readFileSync } from 'node:fs'
import type { Lab } from '@drover/testkit/lab'

/** USER_HZ, the unit of /proc/PID/stat: 100 on every architecture that Linux runs on here. */
const tickMs = 10

export function daemonCpuMs(lab: Lab): number {
  const pids = lab.hosts.flatMap(({ name }) =>
    (['controller', 'agent', 'engine', 'nats'] as const).map((kind) => lab.pidOf(name, kind)),
  )
  return pids.reduce<number>((total, pid) => total + (pid === null ? 0 : cpuMsOf(pid)), 0)
}

function cpuMsOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // utime, stime, cutime, cstime are fields 14 to 17; the name before them may hold spaces.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return fields.slice(11, 15).reduce((total, field) => total + Number(field), 0) * tickMs
}

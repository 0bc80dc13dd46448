// Resident memory of a process, as the kernel counts it.

import { readFileSync } from 'node:fs'

/** VmRSS in bytes; 0 when the process is gone. */
export function residentBytes(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024
  } catch {
    return 0
  }
}

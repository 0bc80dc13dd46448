// How short of memory the machine is. Only where the host's capacity is the machine's: a host that was given a share of it, or
// shares it with others, can't tell its own part.

import { readFileSync } from 'node:fs'
import type { HostReport, Resources } from '@drover/protocol'

type Pressure = NonNullable<HostReport['pressure']>

/** Null: the machine doesn't say. */
export function machinePressure(capacity: Resources, meminfo: () => string = readMeminfo): Pressure | null {
  const facts = meminfo()
  const total = bytesOf(facts, 'MemTotal')
  const available = bytesOf(facts, 'MemAvailable')
  if (total === null || available === null) return null
  // What the host keeps for itself counts as used by it, never by containers.
  const reserved = Math.max(0, total - capacity.memoryBytes)
  return { memoryUsedBytes: Math.max(0, total - available - reserved), frozen: [] }
}

function bytesOf(meminfo: string, name: string): number | null {
  const match = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(meminfo)
  return match ? Number(match[1]) * 1024 : null
}

function readMeminfo(): string {
  try {
    return readFileSync('/proc/meminfo', 'utf8')
  } catch {
    return ''
  }
}

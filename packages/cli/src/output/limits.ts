// The limits of a container on one line; those that only follow from its requests are left out.

import type { ContainerSpec, MemoryPressure, Rlimits } from '@drover/protocol'
import { formatBytes, formatCpu } from './sizes.ts'

export function describeLimits({ limits = {} }: ContainerSpec): string | null {
  const parts = [
    limits.cpuMilli == null ? null : `${formatCpu(limits.cpuMilli)} cores`,
    limits.cpuWeight == null ? null : `cpu weight ${limits.cpuWeight}`,
    limits.cpus == null ? null : `cores ${limits.cpus}`,
    limits.memoryBytes == null ? null : `${formatBytes(limits.memoryBytes)} memory`,
    limits.swapBytes == null ? null : `${formatBytes(limits.swapBytes)} swap`,
    limits.memoryPolicy == null ? null : `at its memory limit: ${limits.memoryPolicy}`,
    limits.diskBytes == null ? null : `${formatBytes(limits.diskBytes)} disk`,
    limits.pids == null ? null : `${limits.pids} pids`,
    limits.ioWeight == null ? null : `io weight ${limits.ioWeight}`,
    limits.ioReadBytes == null ? null : `reads ${formatBytes(limits.ioReadBytes)}/s`,
    limits.ioWriteBytes == null ? null : `writes ${formatBytes(limits.ioWriteBytes)}/s`,
    limits.ioReadOperations == null ? null : `${limits.ioReadOperations} reads/s`,
    limits.ioWriteOperations == null ? null : `${limits.ioWriteOperations} writes/s`,
    limits.networkBits == null ? null : `network ${limits.networkBits / 1e6} Mbit/s`,
    limits.networkIngressBits == null ? null : `network in ${limits.networkIngressBits / 1e6} Mbit/s`,
    limits.networkEgressBits == null ? null : `network out ${limits.networkEgressBits / 1e6} Mbit/s`,
    limits.networkMtu == null ? null : `MTU ${limits.networkMtu}`,
    limits.networkQueue == null ? null : `queue ${limits.networkQueue}`,
    limits.networkIsolated ? 'isolated' : null,
  ].filter((part) => part !== null)
  return parts.length === 0 ? null : parts.join(' · ')
}

/** Null: nothing to worry about. */
export function describePressure(memory: MemoryPressure | undefined): string | null {
  if (!memory) return null
  const parts = [
    memory.frozenAtLimit ? 'frozen at its limit' : memory.nearLimit ? 'near its limit' : null,
    memory.oomKills > 0 ? `${memory.oomKills} killed${memory.killed ? `, last ${memory.killed}` : ''}` : null,
  ].filter((part) => part !== null)
  return parts.length === 0 ? null : parts.join(' · ')
}

/** `nofile=1024:65536`; one number where both are the same. */
export function describeRlimits(rlimits: Rlimits = {}): string | null {
  const bound = (value: number | null) => value ?? 'unlimited'
  const parts = Object.entries(rlimits).map(([name, { soft, hard }]) =>
    soft === hard ? `${name}=${bound(soft)}` : `${name}=${bound(soft)}:${bound(hard)}`,
  )
  return parts.length === 0 ? null : parts.join(' ')
}

// The limits of a container on one line; those that only follow from its requests are left out.

import type { Container, ContainerSpec, Rlimits } from '@drover/protocol'
import { formatAge } from './durations.ts'
import { formatBytes, formatCpu } from './sizes.ts'

export function describeLimits({ limits = {} }: ContainerSpec): string | null {
  const parts = [
    limits.cpuMilli == null ? null : `${formatCpu(limits.cpuMilli)} cores`,
    limits.cpuWeight == null ? null : `cpu weight ${limits.cpuWeight}`,
    limits.cpus == null ? null : `cores ${limits.cpus}`,
    limits.memoryBytes == null ? null : `${formatBytes(limits.memoryBytes)} memory`,
    limits.swapBytes == null ? null : `${formatBytes(limits.swapBytes)} swap`,
    ...(['64KiB', '1MiB', '2MiB', '1GiB'] as const).map((size) => {
      const bytes = limits[`hugePages${size}`]
      return bytes == null ? null : `${formatBytes(bytes)} in pages of ${size}`
    }),
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
export function describePressure(
  { memory, oomKills }: Pick<Container, 'memory' | 'oomKills'>,
  nowMs: number,
): string | null {
  const parts = [
    memory?.frozenAtLimit ? 'frozen at its limit' : memory?.nearLimit ? 'near its limit' : null,
    oomKills === undefined
      ? null
      : `${oomKills.total} killed at its limit, last ${oomKills.last ?? 'one'} ${formatAge(oomKills.lastAtMs, nowMs)} ago`,
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

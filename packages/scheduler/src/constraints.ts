// What a demand asks of a host's nature: pool, pinning, architecture, features, labels, devices, taints. Apart from devices,
// which are used up, none of it changes as containers are placed.

import type { Refusal } from './feasible.ts'
import { type Constraints, defaultPool, type HostSnapshot } from './snapshot.ts'

const unconstrained: Constraints = {}

/** The first rule of the host's nature that is broken, or null. */
export function natureRefusal(host: HostSnapshot, constraints: Constraints = unconstrained): Refusal | null {
  const wantedPool = constraints.pool ?? defaultPool
  const pool = host.pool ?? defaultPool
  if (wantedPool !== pool) return { name: 'OTHER_POOL', detail: `it is in pool ${pool}, not ${wantedPool}` }
  if (constraints.hosts && !constraints.hosts.includes(host.name)) {
    return { name: 'NOT_PINNED_HERE', detail: `it is pinned to ${constraints.hosts.join(', ')}` }
  }
  if (constraints.architecture !== undefined && constraints.architecture !== host.architecture) {
    const has = host.architecture ?? 'unknown'
    return { name: 'WRONG_ARCHITECTURE', detail: `needs ${constraints.architecture}, it is ${has}` }
  }
  return (
    missingFeature('MISSING_CPU_FEATURE', 'CPU', constraints.cpuFeatures, host.cpuFeatures) ??
    missingFeature('MISSING_KERNEL_FEATURE', 'kernel', constraints.kernelFeatures, host.kernelFeatures) ??
    missingFeature('MISSING_CRIU_FEATURE', 'CRIU', constraints.criuFeatures, host.criuFeatures) ??
    wrongLabel(host, constraints) ??
    untolerated(host, constraints)
  )
}

/** Too few free devices of a kind, or null. */
export function deviceRefusal(free: Readonly<Record<string, number>>, constraints: Constraints): Refusal | null {
  for (const [kind, count] of Object.entries(constraints.devices ?? {})) {
    const has = free[kind] ?? 0
    if (has < count) return { name: 'MISSING_DEVICE', detail: `needs ${count} of ${kind}, ${has} free` }
  }
  return null
}

/** How much of the host asks the demand to stay away if it can: taints, and a disk whose size nothing holds. */
export function reasonsToAvoid(host: HostSnapshot, constraints: Constraints = unconstrained): number {
  const taints = (host.taints ?? []).filter(
    ({ effect, key }) => effect === 'avoid' && !constraints.tolerations?.includes(key),
  )
  return taints.length + (constraints.sizedDisk && host.holdsDisks === false ? 1 : 0)
}

function missingFeature(
  name: 'MISSING_CPU_FEATURE' | 'MISSING_KERNEL_FEATURE' | 'MISSING_CRIU_FEATURE',
  owner: string,
  wanted: readonly string[] | undefined,
  has: ReadonlySet<string> | undefined,
): Refusal | null {
  const missing = (wanted ?? []).filter((feature) => !has?.has(feature))
  return missing.length === 0 ? null : { name, detail: `its ${owner} lacks ${missing.join(', ')}` }
}

function wrongLabel(host: HostSnapshot, { labels }: Constraints): Refusal | null {
  for (const [key, value] of Object.entries(labels ?? {})) {
    const has = host.labels?.[key]
    if (has !== value)
      return { name: 'LABEL_MISMATCH', detail: `needs label ${key}=${value}, it has ${has ?? 'none of that key'}` }
  }
  return null
}

function untolerated(host: HostSnapshot, { tolerations }: Constraints): Refusal | null {
  const taint = host.taints?.find(({ effect, key }) => effect === 'refuse' && !tolerations?.includes(key))
  return taint ? { name: 'TAINTED', detail: `it is tainted ${taint.key}, which isn't tolerated` } : null
}

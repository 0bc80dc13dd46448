// Whether a host can take a demand at all. The first rule that a host breaks names its refusal; the rules about the host
// itself come before those about space, so that a person isn't told of memory on a host that is down anyway.

import { deviceRefusal, natureRefusal } from './constraints.ts'
import { describeAmount, resourceNames } from './explain.ts'
import { countGroup, domainOf, type GroupCounts, groupRefusal } from './groups.ts'
import { listenRefusal } from './listens.ts'
import { quotaRefusal } from './quotas.ts'
import { demandVector, type HostVectors, hostVectors, type ResourceName, resourceOrder } from './resource-vector.ts'
import { type ClusterSnapshot, type Demand, defaultPool, type HostSnapshot, type PoolPolicy } from './snapshot.ts'

export const refusalNames = [
  'NOT_THE_REQUESTED_HOST',
  'HOST_EXCLUDED',
  'HOST_NOT_READY',
  'HOST_CORDONED',
  'HOST_NOT_MIGRATABLE',
  'PROJECT_QUOTA',
  'OTHER_POOL',
  'NOT_PINNED_HERE',
  'WRONG_ARCHITECTURE',
  'MISSING_CPU_FEATURE',
  'MISSING_KERNEL_FEATURE',
  'MISSING_CRIU_FEATURE',
  'LABEL_MISMATCH',
  'TAINTED',
  'MISSING_DEVICE',
  'ADDRESS_IN_USE',
  'GROUP_SPREAD',
  'GROUP_PACK',
  'INSUFFICIENT_MEMORY',
  'INSUFFICIENT_CPU',
  'INSUFFICIENT_DISK',
  'INSUFFICIENT_PIDS',
  'INSUFFICIENT_INOTIFY_WATCHES',
  'INSUFFICIENT_KEYRINGS',
  'INSUFFICIENT_PTYS',
  'INSUFFICIENT_NEIGHBOUR_ENTRIES',
  'INSUFFICIENT_BRIDGE_PORTS',
  'MEASURED_MEMORY',
  'MEASURED_CPU',
] as const

export type RefusalName = (typeof refusalNames)[number]

export interface Refusal {
  name: RefusalName
  /** Value and limit, for a person. */
  detail: string
}

/** What is the same for every host that a demand is tried on. */
export interface Trial {
  demand: Demand
  vector: Float64Array
  pools: NonNullable<ClusterSnapshot['pools']>
  overQuota: Refusal | null
  group: GroupCounts | null
}

export function trialOf(snapshot: ClusterSnapshot, demand: Demand): Trial {
  return {
    demand,
    vector: demandVector(demand),
    pools: snapshot.pools ?? {},
    overQuota: quotaRefusal(snapshot.projects, demand),
    group: demand.group ? countGroup(snapshot.hosts, demand.group) : null,
  }
}

export function poolOf(host: HostSnapshot, pools: Trial['pools']): PoolPolicy {
  return pools[host.pool ?? defaultPool] ?? {}
}

/** The refusal of `host` for `demand`, or null when it can take it. */
export function refusalOf(
  host: HostSnapshot,
  demand: Demand,
  trial: Trial = trialOf({ hosts: [host] }, demand),
): Refusal | null {
  if (demand.host !== null && demand.host !== host.name) {
    return { name: 'NOT_THE_REQUESTED_HOST', detail: `host ${demand.host} was asked for` }
  }
  if (demand.excluded.has(host.name)) {
    return {
      name: 'HOST_EXCLUDED',
      detail: `${demand.name} must not go to ${host.name}: it leaves it, or failed there`,
    }
  }
  return (
    conditionRefusal(host, demand) ??
    trial.overQuota ??
    natureRefusal(host, demand.constraints) ??
    (demand.constraints?.devices ? deviceRefusal(host.devices ?? {}, demand.constraints) : null) ??
    listenRefusal(host.listens, demand.listens) ??
    (demand.group && trial.group
      ? groupRefusal(demand.group, trial.group, domainOf(host, demand.group.topology))
      : null) ??
    shortageOf(hostVectors(host, poolOf(host, trial.pools)), trial.vector)
  )
}

/** It can't take anybody, or nobody who arrives alive. */
export function conditionRefusal(host: HostSnapshot, demand: Pick<Demand, 'live'>): Refusal | null {
  if (!host.ready) return { name: 'HOST_NOT_READY', detail: 'no recent report from its agent' }
  if (host.cordoned) return { name: 'HOST_CORDONED', detail: 'it takes no new containers until it is uncordoned' }
  if (demand.live && !host.migratable) {
    return {
      name: 'HOST_NOT_MIGRATABLE',
      detail: 'it has no CRIU that passes its self-test, so it takes no live moves',
    }
  }
  return null
}

const shortageNames: Record<ResourceName, RefusalName> = {
  memoryBytes: 'INSUFFICIENT_MEMORY',
  cpuMilli: 'INSUFFICIENT_CPU',
  diskBytes: 'INSUFFICIENT_DISK',
  pids: 'INSUFFICIENT_PIDS',
  inotifyWatches: 'INSUFFICIENT_INOTIFY_WATCHES',
  keyrings: 'INSUFFICIENT_KEYRINGS',
  ptys: 'INSUFFICIENT_PTYS',
  neighbourEntries: 'INSUFFICIENT_NEIGHBOUR_ENTRIES',
  bridgePorts: 'INSUFFICIENT_BRIDGE_PORTS',
  measuredMemoryBytes: 'MEASURED_MEMORY',
  measuredCpuMilli: 'MEASURED_CPU',
}

/** The first shortage names the refusal; the detail lists every one. */
function shortageOf({ capacity, requested }: HostVectors, needed: Float64Array): Refusal | null {
  const short = resourceOrder.flatMap((name, column) =>
    requested[column]! + needed[column]! > capacity[column]! ? [{ name, column }] : [],
  )
  const first = short[0]
  if (!first) return null
  const details = short.map(({ name, column }) => {
    const free = Math.max(0, capacity[column]! - requested[column]!)
    const amount = (value: number) => describeAmount(name, value)
    return `${resourceNames[name]}: needs ${amount(needed[column]!)}, ${amount(free)} of ${amount(capacity[column]!)} free`
  })
  return { name: shortageNames[first.name], detail: details.join('; ') }
}

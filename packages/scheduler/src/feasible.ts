// Whether a host can take a demand at all. The first rule that a host breaks names its refusal; the rules about the host
// itself come before those about space, so that a person isn't told of memory on a host that is down anyway.

import type { Resources } from '@drover/protocol'
import { describeAmount, resourceNames } from './explain.ts'
import type { Demand, HostSnapshot } from './snapshot.ts'

export type RefusalName =
  | 'NOT_THE_REQUESTED_HOST'
  | 'HOST_EXCLUDED'
  | 'HOST_NOT_READY'
  | 'HOST_CORDONED'
  | 'HOST_NOT_MIGRATABLE'
  | 'INSUFFICIENT_MEMORY'
  | 'INSUFFICIENT_CPU'
  | 'INSUFFICIENT_DISK'
  | 'INSUFFICIENT_PIDS'

export interface Refusal {
  name: RefusalName
  /** Value and limit, for a person. */
  detail: string
}

/** The refusal of `host` for `demand`, or null when it can take it. */
export function refusalOf(host: HostSnapshot, demand: Demand): Refusal | null {
  if (demand.host !== null && demand.host !== host.name) {
    return { name: 'NOT_THE_REQUESTED_HOST', detail: `host ${demand.host} was asked for` }
  }
  if (demand.excluded.has(host.name)) {
    return {
      name: 'HOST_EXCLUDED',
      detail: `${demand.name} must not go to ${host.name}: it leaves it, or failed there`,
    }
  }
  if (!host.ready) return { name: 'HOST_NOT_READY', detail: 'no recent report from its agent' }
  if (host.cordoned) return { name: 'HOST_CORDONED', detail: 'it takes no new containers until it is uncordoned' }
  if (demand.live && !host.migratable) {
    return {
      name: 'HOST_NOT_MIGRATABLE',
      detail: 'it has no CRIU that passes its self-test, so it takes no live moves',
    }
  }
  return shortageOf(host, demand)
}

/** Order in which shortages name the refusal; the detail lists every one. */
const shortages: readonly (readonly [keyof Resources, RefusalName])[] = [
  ['memoryBytes', 'INSUFFICIENT_MEMORY'],
  ['cpuMilli', 'INSUFFICIENT_CPU'],
  ['diskBytes', 'INSUFFICIENT_DISK'],
  ['pids', 'INSUFFICIENT_PIDS'],
]

function shortageOf(host: HostSnapshot, demand: Demand): Refusal | null {
  const short = shortages.filter(([key]) => host.requested[key] + demand.requests[key] > host.capacity[key])
  const first = short[0]
  if (!first) return null
  const details = short.map(([key]) => {
    const free = Math.max(0, host.capacity[key] - host.requested[key])
    const amount = (value: number) => describeAmount(key, value)
    return `${resourceNames[key]}: needs ${amount(demand.requests[key])}, ${amount(free)} of ${amount(host.capacity[key])} free`
  })
  return { name: first[1], detail: details.join('; ') }
}

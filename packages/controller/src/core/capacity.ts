// What the containers of a host have asked for, counting those that are on their way to it.

import type { Resources } from '@drover/protocol'
import { heldRequests } from './preemption.ts'
import { promisedRoom } from './promised-room.ts'
import type { ClusterState } from './state.ts'

const nothing: Resources = { cpuMilli: 0, memoryBytes: 0, diskBytes: 0, pids: 0 }

export interface HostLoad {
  requested: Resources
  containers: number
}

/** Every host's load in one pass, with what was promised to launches for which room is made, but for `except`; or only one host's. */
export function loads(state: ClusterState, except: string | null = null, only?: string): Map<string, HostLoad> {
  const byHost = new Map<string, HostLoad>()
  const counts = (host: string) => only === undefined || host === only
  const count = (host: string, requests: Resources) => {
    const load = byHost.get(host) ?? { requested: nothing, containers: 0 }
    byHost.set(host, { requested: add(load.requested, requests), containers: load.containers + 1 })
  }
  for (const container of state.tables.containers.values()) {
    if (counts(container.host)) count(container.host, heldRequests(container))
    const arriving = arrivingHost(state, container.operation)
    if (arriving !== null && counts(arriving)) count(arriving, container.spec.requests)
  }
  for (const id of state.running) {
    const promised = id === except ? null : promisedRoom(state.tables.operations.get(id)!)
    if (promised !== null && counts(promised.host)) count(promised.host, promised.spec.requests)
  }
  return byHost
}

export const loadOf = (state: ClusterState, host: string, except: string | null = null): HostLoad =>
  loads(state, except, host).get(host) ?? { requested: nothing, containers: 0 }

/** The resource that would not fit, in words; null when all fit. */
export function shortage(capacity: Resources, requested: Resources, demand: Resources): string | null {
  for (const key of ['cpuMilli', 'memoryBytes', 'diskBytes', 'pids'] as const) {
    const free = capacity[key] - requested[key]
    if (demand[key] > free) return `${key}: needs ${demand[key]}, ${Math.max(free, 0)} of ${capacity[key]} free`
  }
  return null
}

export function add(left: Resources, right: Resources): Resources {
  return {
    cpuMilli: left.cpuMilli + right.cpuMilli,
    memoryBytes: left.memoryBytes + right.memoryBytes,
    diskBytes: left.diskBytes + right.diskBytes,
    pids: left.pids + right.pids,
  }
}

/** Where a move that has not been decided yet brings the container. */
export function arrivingHost(state: ClusterState, operation: string | null): string | null {
  const migration = operation === null ? null : state.tables.operations.get(operation)?.migration
  if (!migration) return null
  const undecided = ['planned', 'preparing', 'precopying', 'switching'].includes(migration.phase)
  return undecided ? migration.destination : null
}

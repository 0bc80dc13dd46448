// The committed state and the last reports, as the scheduler wants them.

import type { HostFeatures, Resources } from '@drover/protocol'
import type { ClusterSnapshot, HostSnapshot } from '@drover/scheduler'
import { add, loads } from './capacity.ts'
import { isReady, type Observed } from './observed.ts'
import type { ClusterState } from './state.ts'

/** Placements that were proposed and are not committed yet. */
export interface PendingPlacement {
  host: string
  requests: Resources
}

/** `source`: the container leaves this host, so only hosts that can restore what it dumps are migratable. */
export function clusterSnapshot(
  state: ClusterState,
  observed: Observed,
  nowMs: number,
  options: { source?: string; pending?: Iterable<PendingPlacement> } = {},
): ClusterSnapshot {
  const byHost = loads(state)
  for (const { host, requests } of options.pending ?? []) {
    const load = byHost.get(host)
    byHost.set(host, {
      requested: load ? add(load.requested, requests) : requests,
      containers: (load?.containers ?? 0) + 1,
    })
  }
  const from = options.source === undefined ? undefined : state.tables.hosts.get(options.source)?.features
  const hosts = [...state.tables.hosts.values()].map((host): HostSnapshot => {
    const load = byHost.get(host.name)
    return {
      name: host.name,
      capacity: host.capacity,
      requested: load?.requested ?? { cpuMilli: 0, memoryBytes: 0, diskBytes: 0, pids: 0 },
      ready: isReady(observed, host.name, nowMs),
      cordoned: host.cordoned,
      migratable: host.features.criu.usable && (from === undefined || canRestoreFrom(host.features, from)),
      images: new Set(host.images),
      containers: load?.containers ?? 0,
    }
  })
  return { hosts: hosts.sort((left, right) => (left.name < right.name ? -1 : 1)) }
}

/** CPU architecture and cgroup layout are in what CRIU dumps; a simulated engine's dumps are its own. */
const canRestoreFrom = (here: HostFeatures, source: HostFeatures): boolean =>
  source.criu.usable &&
  here.architecture === source.architecture &&
  here.cgroup === source.cgroup &&
  here.engine === source.engine

// The committed state and the last reports, as the scheduler wants them.

import type { ContainerSpec, Group, Host, Resources } from '@drover/protocol'
import type { ClusterSnapshot, HostSnapshot, MeasuredUse } from '@drover/scheduler'
import { add, arrivingHost, loads } from './capacity.ts'
import { canRestoreFrom } from './container-snapshots.ts'
import { amountsOf, featuresOf, type Taking, takenAmounts } from './host-amounts.ts'
import { isReady, type Observed } from './observed.ts'
import { overcommits, poolOfHost, poolPolicies, projectsOf } from './scheduling-policy.ts'
import type { ClusterState } from './state.ts'

/** Placements that were proposed and are not committed yet. */
export interface PendingPlacement extends Taking {
  host: string
  requests: Resources
  group?: Group
  project?: string
}

export const pendingOf = (
  host: string,
  { requests, scheduling, devices }: Pick<ContainerSpec, 'requests' | 'scheduling' | 'devices'>,
): PendingPlacement => ({
  host,
  requests,
  ...(scheduling?.group === undefined ? {} : { group: scheduling.group }),
  ...(scheduling?.project === undefined ? {} : { project: scheduling.project }),
  ...(scheduling === undefined ? {} : { scheduling }),
  ...(devices === undefined ? {} : { devices }),
})

export interface SnapshotOptions {
  /** The container leaves this host, so only hosts that can restore what it dumps are migratable. */
  source?: string
  pending?: Iterable<PendingPlacement>
  /** It isn't a member of its own group, and its devices are free for it: where it is doesn't keep it from anywhere. */
  without?: string
  /** A launch whose room counts as free. */
  except?: string
}

export function clusterSnapshot(
  state: ClusterState,
  observed: Observed,
  nowMs: number,
  options: SnapshotOptions = {},
): ClusterSnapshot {
  const pending = [...(options.pending ?? [])]
  const byHost = loads(state, options.except)
  for (const { host, requests } of pending) {
    const load = byHost.get(host)
    byHost.set(host, {
      requested: load ? add(load.requested, requests) : requests,
      containers: (load?.containers ?? 0) + 1,
    })
  }
  const groups = groupMembers(state, pending, options.without)
  const taken = takenAmounts(state, pending, options.without)
  const from = options.source === undefined ? undefined : state.tables.hosts.get(options.source)?.features
  const hosts = [...state.tables.hosts.values()].map((host): HostSnapshot => {
    const load = byHost.get(host.name)
    const members = groups.get(host.name)
    return {
      name: host.name,
      capacity: host.capacity,
      requested: load?.requested ?? { cpuMilli: 0, memoryBytes: 0, diskBytes: 0, pids: 0 },
      ready: isReady(observed, host.name, nowMs),
      cordoned: host.cordoned,
      migratable: host.features.criu.usable && (from === undefined || canRestoreFrom(host.features, from)),
      images: new Set(host.images),
      containers: load?.containers ?? 0,
      architecture: host.features.architecture,
      ...featuresOf(host),
      ...amountsOf(host, taken.get(host.name)),
      ...settingsOf(host),
      ...(members === undefined ? {} : { groups: members }),
      ...(overcommits(poolOfHost(state, host)) ? { measured: measuredOn(state, observed, host.name, nowMs) } : {}),
    }
  })
  return {
    hosts: hosts.sort((left, right) => (left.name < right.name ? -1 : 1)),
    pools: poolPolicies(state),
    projects: projectsOf(state, pending),
  }
}

function settingsOf({ labels, taints, pool, rack, zone }: Host): Partial<HostSnapshot> {
  return {
    ...(labels === undefined ? {} : { labels }),
    ...(taints === undefined ? {} : { taints: Object.entries(taints).map(([key, effect]) => ({ key, effect })) }),
    ...(pool === undefined ? {} : { pool }),
    ...(rack === undefined ? {} : { rack }),
    ...(zone === undefined ? {} : { zone }),
  }
}

/** Host → group → members, those on their way counted where they go to as well. */
function groupMembers(
  state: ClusterState,
  pending: readonly PendingPlacement[],
  without: string | undefined,
): Map<string, Record<string, number>> {
  const byHost = new Map<string, Record<string, number>>()
  const count = (host: string, group: Group | undefined) => {
    if (!group) return
    const groups = byHost.get(host) ?? {}
    groups[group.name] = (groups[group.name] ?? 0) + 1
    byHost.set(host, groups)
  }
  for (const { id, host, spec, operation } of state.tables.containers.values()) {
    if (spec.scheduling?.group === undefined || id === without) continue
    count(host, spec.scheduling.group)
    const arriving = arrivingHost(state, operation)
    if (arriving !== null) count(arriving, spec.scheduling.group)
  }
  for (const { host, group } of pending) count(host, group)
  return byHost
}

/** Sum of what its containers are expected to use; null: nothing was measured. */
function measuredOn(state: ClusterState, observed: Observed, host: string, nowMs: number): MeasuredUse | null {
  const report = observed.reports.get(host)?.report
  if (!report || !observed.uses) return null
  let cpuMilli = 0
  let memoryBytes = 0
  for (const { container, memoryBytes: now } of report.containers) {
    if (state.tables.containers.get(container)?.preempted !== undefined) continue
    const expected = observed.uses.of(container, nowMs)?.expected
    cpuMilli += expected?.cpuMilli ?? 0
    memoryBytes += expected?.memoryBytes ?? now
  }
  return { cpuMilli: Math.round(cpuMilli), memoryBytes: Math.round(memoryBytes) }
}

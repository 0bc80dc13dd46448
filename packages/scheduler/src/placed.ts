// The snapshot as it will be: what a placement, or a departure, changes in it.

import type { Resources } from '@drover/protocol'
import { changedListens } from './listens.ts'
import type { ClusterSnapshot, Demand, DensityAmounts, HostSnapshot, Project } from './snapshot.ts'

/** The snapshot as it is once `demand` is on `host`, or on its way there. */
export function withPlaced(snapshot: ClusterSnapshot, host: string, demand: Demand): ClusterSnapshot {
  return changed(snapshot, host, demand, 1)
}

/** The snapshot as it is once `demand` has left `host`. Images stay. */
export function withoutPlaced(snapshot: ClusterSnapshot, host: string, demand: Demand): ClusterSnapshot {
  return changed(snapshot, host, demand, -1)
}

/** The snapshot as it is once `demand` has been stopped on `host` for another: its disk, group and quota stay its own. */
export function withStopped(snapshot: ClusterSnapshot, host: string, demand: Demand): ClusterSnapshot {
  return changed(snapshot, host, freedByStop(demand), -1)
}

/** As withoutPlaced and withStopped, of one host alone. */
export const hostWithout = (host: HostSnapshot, demand: Demand): HostSnapshot => occupied(host, demand, -1)
export const hostWithStopped = (host: HostSnapshot, demand: Demand): HostSnapshot =>
  occupied(host, freedByStop(demand), -1)

function freedByStop({ project: _project, group: _group, ...demand }: Demand): Demand {
  return { ...demand, requests: { ...demand.requests, diskBytes: 0 } }
}

function changed(snapshot: ClusterSnapshot, name: string, demand: Demand, sign: 1 | -1): ClusterSnapshot {
  const hosts = snapshot.hosts.map((each) => (each.name === name ? occupied(each, demand, sign) : each))
  const { projects } = snapshot
  const project = demand.project === undefined ? undefined : projects?.[demand.project]
  if (!project) return { ...snapshot, hosts }
  return { ...snapshot, hosts, projects: { ...projects, [demand.project!]: charged(project, demand, sign) } }
}

function occupied(host: HostSnapshot, demand: Demand, sign: 1 | -1): HostSnapshot {
  const after: HostSnapshot = {
    ...host,
    requested: sum(host.requested, demand.requests, sign),
    images: sign < 0 || host.images.has(demand.image) ? host.images : new Set([...host.images, demand.image]),
    containers: host.containers + sign,
  }
  if (demand.limits) after.limitsRequested = sumOfLimits(host.limitsRequested ?? {}, demand.limits, sign)
  if (host.measured) {
    const use = demand.measured ?? demand.requests
    after.measured = {
      cpuMilli: host.measured.cpuMilli + sign * use.cpuMilli,
      memoryBytes: host.measured.memoryBytes + sign * use.memoryBytes,
    }
  }
  if (demand.constraints?.devices) after.devices = sumOfCounts(host.devices ?? {}, demand.constraints.devices, -sign)
  if (demand.listens) after.listens = changedListens(host.listens, demand.listens, sign)
  if (demand.group) after.groups = sumOfCounts(host.groups ?? {}, { [demand.group.name]: 1 }, sign)
  return after
}

function charged({ quota, used }: Project, demand: Demand, sign: 1 | -1): Project {
  return { quota, used: { ...sum(used, demand.requests, sign), containers: used.containers + sign } }
}

export function sum(left: Resources, right: Resources, sign = 1): Resources {
  return {
    cpuMilli: left.cpuMilli + sign * right.cpuMilli,
    memoryBytes: left.memoryBytes + sign * right.memoryBytes,
    diskBytes: left.diskBytes + sign * right.diskBytes,
    pids: left.pids + sign * right.pids,
  }
}

function sumOfLimits(
  left: Partial<DensityAmounts>,
  right: Partial<DensityAmounts>,
  sign: number,
): Partial<DensityAmounts> {
  const total = { ...left }
  for (const [key, value] of Object.entries(right) as [keyof DensityAmounts, number][]) {
    total[key] = (total[key] ?? 0) + sign * value
  }
  return total
}

function sumOfCounts(
  left: Readonly<Record<string, number>>,
  right: Readonly<Record<string, number>>,
  sign: number,
): Record<string, number> {
  const total = { ...left }
  for (const [key, value] of Object.entries(right)) total[key] = (total[key] ?? 0) + sign * value
  return total
}

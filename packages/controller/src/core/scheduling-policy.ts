// The committed policy as the scheduler wants it: pools with their overcommit, projects with what they use.

import type { Host, Pool, Resources, SchedulingPolicy } from '@drover/protocol'
import { defaultPool, type PoolPolicy, type Project } from '@drover/scheduler'
import type { ClusterState } from './state.ts'

/** Key of the one entity in the table `policies`, and the target of operations that change it. */
export const policyKey = 'scheduling'

const nothingSaid: SchedulingPolicy = { pools: {}, projects: {}, rebalance: {} }

export function policyOf(state: ClusterState): SchedulingPolicy {
  return { ...nothingSaid, ...state.tables.policies.get(policyKey) }
}

export function poolPolicies(state: ClusterState): Record<string, PoolPolicy> {
  const pools: Record<string, PoolPolicy> = {}
  for (const [name, pool] of Object.entries(policyOf(state).pools)) {
    pools[name] = {
      ...(pool.policy === undefined ? {} : { policy: pool.policy }),
      overcommit: { cpu: pool.overcommitCpu ?? 1, memory: pool.overcommitMemory ?? 1 },
      idleReserve: pool.idleReserve ?? 0,
    }
  }
  return pools
}

export const poolOfHost = (state: ClusterState, host: Host): Pool =>
  policyOf(state).pools[host.pool ?? defaultPool] ?? {}

/** Where requests may add up to more than there is, what is measured must still fit. */
export const overcommits = (pool: Pool): boolean => (pool.overcommitCpu ?? 1) > 1 || (pool.overcommitMemory ?? 1) > 1

/** What may be asked for on the host in all. */
export function askable(state: ClusterState, host: Host): Resources {
  const pool = poolOfHost(state, host)
  return {
    ...host.capacity,
    cpuMilli: Math.floor(host.capacity.cpuMilli * (pool.overcommitCpu ?? 1)),
    memoryBytes: Math.floor(host.capacity.memoryBytes * (pool.overcommitMemory ?? 1)),
  }
}

/** Projects with a quota, and what their containers ask for together; `pending`: launches that aren't committed yet. */
export function projectsOf(
  state: ClusterState,
  pending: Iterable<{ requests: Resources; project?: string }>,
): Record<string, Project> {
  const { projects: quotas } = policyOf(state)
  const projects: Record<string, Project> = {}
  for (const [name, quota] of Object.entries(quotas)) {
    projects[name] = { quota, used: { cpuMilli: 0, memoryBytes: 0, diskBytes: 0, pids: 0, containers: 0 } }
  }
  if (Object.keys(projects).length === 0) return projects
  const count = (project: string | undefined, requests: Resources) => {
    if (project === undefined || !Object.hasOwn(projects, project)) return
    const { used } = projects[project]!
    for (const key of ['cpuMilli', 'memoryBytes', 'diskBytes', 'pids'] as const) used[key] += requests[key]
    used.containers += 1
  }
  for (const { spec } of state.tables.containers.values()) count(spec.scheduling?.project, spec.requests)
  for (const { project, requests } of pending) count(project, requests)
  return projects
}

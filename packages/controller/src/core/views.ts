// The committed state and the last reports, as the API shows them.

import {
  type ClusterStatus,
  type Container,
  DroverError,
  type Host,
  type HostReport,
  type HostView,
  type Resources,
  version,
} from '@drover/protocol'
import { type HostLoad, loads } from './capacity.ts'
import { whyNotHealed } from './healing.ts'
import { isReady, type Observed } from './observed.ts'
import { describePreempted } from './preemption.ts'
import { askable } from './scheduling-policy.ts'
import type { ClusterState, StoredContainer } from './state.ts'

export function hostViews(state: ClusterState, observed: Observed, nowMs: number): HostView[] {
  const byHost = loads(state)
  return [...state.tables.hosts.values()]
    .map((host) => hostView(state, observed, nowMs, host, byHost.get(host.name)))
    .sort(byName)
}

export function hostNamed(state: ClusterState, observed: Observed, nowMs: number, name: string): HostView {
  const host = state.tables.hosts.get(name)
  if (!host) throw state.tables.removedHosts.has(name) ? wasRemoved(name) : notJoined(name)
  return hostView(state, observed, nowMs, host, loads(state).get(name))
}

export const addressesOfOthers = (state: ClusterState, host: string): string[] =>
  [...state.tables.hosts.values()].filter(({ name }) => name !== host).map(({ address }) => address)

export function containerViews(state: ClusterState): Container[] {
  return [...state.tables.containers.values()].map((container) => containerView(state, container)).sort(byName)
}

/** What a host says counts only while it is heard. */
export function containerView(state: ClusterState, container: StoredContainer): Container {
  const {
    assignedRevision: _revision,
    stopTimeoutMs: _timeout,
    leasedEpoch: _lease,
    diskEpoch: _disk,
    preemptions: _preemptions,
    ...known
  } = container
  const view = known.preempted === undefined ? known : { ...known, message: describePreempted(known.preempted) }
  const unheard = state.tables.silences.has(container.host) && ['running', 'frozen'].includes(container.state)
  if (!unheard) return view
  const lost = state.tables.losses.has(container.host)
  const why = lost ? (whyNotHealed(state, container) ?? 'it is to be started elsewhere') : null
  const message = why === null ? `host ${container.host} is silent` : `host ${container.host} is lost: ${why}`
  return { ...view, state: 'unknown', message }
}

export function clusterStatus(
  state: ClusterState,
  observed: Observed,
  nowMs: number,
  facts: Pick<ClusterStatus, 'cluster' | 'controller' | 'leader' | 'controllers'>,
): ClusterStatus {
  const containers = containerViews(state)
  const hosts = hostViews(state, observed, nowMs)
  return {
    ...facts,
    version,
    appliedIndex: state.index,
    hosts: hosts.length,
    hostsReady: hosts.filter(({ status }) => status === 'ready').length,
    containers: containers.length,
    containersRunning: containers.filter((each) => each.state === 'running' || each.state === 'migrating').length,
    operationsRunning: state.running.size,
  }
}

const wasRemoved = (host: string) =>
  new DroverError('HOST_NOT_FOUND', `host ${host} was removed from the cluster`, { context: { host, removed: true } })

export const notJoined = (host: string) =>
  new DroverError('HOST_NOT_FOUND', `host ${host} has not joined the cluster`, { context: { host } })

function hostView(
  state: ClusterState,
  observed: Observed,
  nowMs: number,
  host: Host,
  load: HostLoad | undefined,
): HostView {
  const received = observed.reports.get(host.name)
  const heard = isReady(observed, host.name, nowMs) && !state.tables.silences.has(host.name)
  return {
    ...host,
    status: !heard ? (state.tables.losses.has(host.name) ? 'lost' : 'silent') : host.cordoned ? 'cordoned' : 'ready',
    lastSeenMs: received?.receivedAtMs ?? null,
    requested: load?.requested ?? { cpuMilli: 0, memoryBytes: 0, diskBytes: 0, pids: 0 },
    used: received?.report.used ?? null,
    ...leftoversOf(received?.report.leftovers),
    containers: load?.containers ?? 0,
    limit: limitOf(host, askable(state, host), load),
  }
}

function leftoversOf(leftovers: HostReport['leftovers']): Pick<HostView, 'leftovers'> {
  if (leftovers === undefined) return {}
  return {
    leftovers: { containers: leftovers.length, bytes: leftovers.reduce((total, { bytes }) => total + bytes, 0) },
  }
}

/** What runs out first: the largest share that is asked for. */
function limitOf(
  { features }: Host,
  capacity: Resources,
  { requested, containers }: HostLoad = { requested: nothing, containers: 0 },
): NonNullable<HostView['limit']> | null {
  let limit: NonNullable<HostView['limit']> | null = null
  const consider = (resource: string, asked: number, has: number) => {
    const share = asked / has
    if (has > 0 && (limit === null || share > limit.share)) {
      limit = { resource, share, free: Math.max(0, has - asked) }
    }
  }
  for (const resource of ['memoryBytes', 'cpuMilli', 'diskBytes', 'pids'] as const) {
    consider(resource, requested[resource], capacity[resource])
  }
  for (const [resource, has] of Object.entries(features.limits ?? {})) consider(resource, containers, has)
  return limit
}

const nothing: Resources = { cpuMilli: 0, memoryBytes: 0, diskBytes: 0, pids: 0 }

const byName = (left: { name: string }, right: { name: string }): number => (left.name < right.name ? -1 : 1)

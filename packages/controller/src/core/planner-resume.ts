// Containers that were preempted start again: the most important first, then whoever waits longest, where their disk is. When that host has
// had no room for a while and another has, they move there cold. Only free room counts: nobody moves or stops for them, so nothing swings.

import { pinsOf } from '@drover/protocol'
import {
  type ClusterSnapshot,
  type Demand,
  place,
  refusalOf,
  trialOf,
  withoutPlaced,
  withPlaced,
} from '@drover/scheduler'
import { clusterSnapshot } from './cluster-snapshot.ts'
import { demandOf } from './demand.ts'
import type { Entry } from './entries.ts'
import type { PlanContext } from './planner.ts'
import { missingRequests, priorityOf } from './preemption.ts'
import type { ClusterState, StoredContainer } from './state.ts'

/** Room beside its disk costs nothing to wait for; a move sends the disk. */
const elsewhereAfterMs = 30_000
/** Placements on all hosts in one pass. */
const maxElsewhere = 16

export function planResumptions({ state, observed, nowMs, seed }: PlanContext): Entry[] {
  const waiting = [...state.tables.containers.values()].filter((each) => mayResume(each, nowMs)).sort(byImportance)
  if (waiting.length === 0) return []
  let snapshot = clusterSnapshot(state, observed, nowMs)
  let searches = 0
  const entries: Entry[] = []
  for (const container of waiting) {
    const { id, name, host, epoch, starts, preempted } = container
    const operation = `resume-${id}-${epoch}-${starts}-${preempted!.tries}`
    const here = demandHere(container)
    if (takes(snapshot, host, here)) {
      snapshot = withPlaced(snapshot, host, here)
      entries.push({ type: 'ContainerResumed', atMs: nowMs, operation, container: id, host, epoch })
      continue
    }
    if (searches >= maxElsewhere || !isUp(snapshot, host) || !mayGoElsewhere(container, nowMs)) continue
    searches += 1
    const demand = demandElsewhere(container)
    const { host: destination, placement } = place(withoutMember(snapshot, container), demand, seed)
    if (destination === null) continue
    snapshot = withPlaced(snapshot, destination, demand)
    const reason = `${name} was preempted on ${host} by ${preempted!.by}, and ${destination} has room for it`
    const facts = { container: name, destination, mode: 'cold', placement, parent: null, reason } as const
    entries.push({ type: 'MoveStarted', atMs: nowMs, operation: `${operation}-move`, ...facts })
  }
  return entries
}

/** Those that have waited long enough to go anywhere, the most important first, and what they ask of another host. */
export function waitingForAnyHost(
  state: ClusterState,
  nowMs: number,
): { container: StoredContainer; demand: Demand }[] {
  return [...state.tables.containers.values()]
    .filter((each) => mayResume(each, nowMs) && mayGoElsewhere(each, nowMs))
    .sort(byImportance)
    .map((container) => ({ container, demand: demandElsewhere(container) }))
}

/** What it waits for, in words. */
export function whyItWaits({ state, observed, nowMs }: Omit<PlanContext, 'seed'>, container: StoredContainer): string {
  if (!container.preempted?.resumes) return 'its user has stopped it since'
  const waitMs = container.preempted.notBeforeMs - nowMs
  if (waitMs > 0) return `it rests for ${Math.ceil(waitMs / 1000)} s more before it is tried`
  const snapshot = clusterSnapshot(state, observed, nowMs)
  const demand = demandHere(container)
  const here = snapshot.hosts.find(({ name }) => name === container.host)
  const refusal = here === undefined ? null : refusalOf(here, demand, trialOf(snapshot, demand))
  return refusal === null ? 'it is about to start' : `on ${container.host}: ${refusal.name}, ${refusal.detail}`
}

function mayResume({ preempted, state, operation, deleting }: StoredContainer, nowMs: number): boolean {
  if (!preempted?.resumes || deleting || operation !== null) return false
  return (state === 'stopped' || state === 'failed') && preempted.notBeforeMs <= nowMs
}

function byImportance(left: StoredContainer, right: StoredContainer): number {
  const since = ({ preempted, identity }: StoredContainer) => [preempted!.atMs, identity.serial] as const
  const [[leftMs, leftSerial], [rightMs, rightSerial]] = [since(left), since(right)]
  return priorityOf(right) - priorityOf(left) || leftMs - rightMs || leftSerial - rightSerial
}

function mayGoElsewhere({ preempted, spec, state }: StoredContainer, nowMs: number): boolean {
  if (state !== 'stopped' || nowMs - preempted!.atMs < elsewhereAfterMs) return false
  return spec.scheduling?.leave !== 'stay' && pinsOf(spec.devices).length === 0
}

/** Its disk is there, and its group and its quota count it already. */
function demandHere(container: StoredContainer) {
  const { group: _group, ...demand } = demandElsewhere(container)
  return { ...demand, excluded: new Set<string>(), requests: missingRequests(container) }
}

function demandElsewhere(container: StoredContainer) {
  const { project: _project, ...demand } = demandOf(container, { host: null, excluded: [container.host], live: false })
  return demand
}

/** Its disk comes from there. */
const isUp = (snapshot: ClusterSnapshot, host: string): boolean =>
  snapshot.hosts.some(({ name, ready }) => name === host && ready)

function takes(snapshot: ClusterSnapshot, name: string, demand: ReturnType<typeof demandHere>): boolean {
  const host = snapshot.hosts.find((each) => each.name === name)
  return host !== undefined && refusalOf(host, demand, trialOf(snapshot, demand)) === null
}

/** As if its group didn't count it where it is. */
function withoutMember(snapshot: ClusterSnapshot, container: StoredContainer): ClusterSnapshot {
  const demand = demandElsewhere(container)
  if (demand.group === undefined) return snapshot
  const nothing = { cpuMilli: 0, memoryBytes: 0, diskBytes: 0, pids: 0 }
  const { limits: _limits, constraints: _constraints, measured: _measured, ...member } = demand
  return withoutPlaced(snapshot, container.host, {
    ...member,
    requests: nothing,
    measured: { cpuMilli: 0, memoryBytes: 0 },
  })
}

// From a host's report to what of it is worth committing: the host itself when it changed, the state of containers that are
// its own, and that a deleted one is gone. Measured use (memory, CPU time) is not committed.

import type { Host, HostReport, ObservedContainer } from '@drover/protocol'
import { undecidedMigration } from './apply-containers.ts'
import type { Entry, EntryOf } from './entries.ts'
import { isSilent, type ReceivedReport } from './observed.ts'
import type { PlanContext } from './planner.ts'
import type { ClusterState, StoredContainer } from './state.ts'

/** The host itself, when it differs from what is committed. */
export function planHost({ state, nowMs }: PlanContext, { report }: ReceivedReport): Entry[] {
  if (state.tables.removedHosts.has(report.host)) return []
  const host = hostOf(report)
  const committed = state.tables.hosts.get(report.host)
  return committed && sameHost(committed, host) ? [] : [{ type: 'HostObserved', atMs: nowMs, host }]
}

/** Its containers, or some of them. */
export function planContainers(
  context: PlanContext,
  { report }: ReceivedReport,
  containers: readonly ObservedContainer[] = report.containers,
): Entry[] {
  // Without its engine an agent doesn't know what runs: absence means nothing then.
  if (!report.engineUp) return []
  const entries: Entry[] = []
  for (const seen of containers) {
    const container = context.state.tables.containers.get(seen.container)
    // The end of its move says it as well, within a second.
    if (!container || isLanding(context.state, container)) continue
    const entry = observation(context, container, report.host, seen)
    if (entry) entries.push(entry)
  }
  return [...entries, ...planRemovals(context, report)]
}

/** Hosts that went silent or are heard again. */
export function planSilences({ state, observed, nowMs }: PlanContext): Entry[] {
  const entries: Entry[] = []
  for (const host of state.tables.hosts.keys()) {
    const heard = observed.reports.has(host)
    const silent = isSilent(observed, host, nowMs)
    const was = state.tables.silences.has(host)
    if (silent && !was) entries.push({ type: 'HostSilenceChanged', atMs: nowMs, host, silent: true })
    if (!silent && was && heard) entries.push({ type: 'HostSilenceChanged', atMs: nowMs, host, silent: false })
  }
  return entries
}

function planRemovals({ state, nowMs }: PlanContext, report: HostReport): Entry[] {
  const leaving: StoredContainer[] = []
  for (const container of state.tables.containers.values()) {
    if (container.deleting && container.host === report.host) leaving.push(container)
  }
  if (leaving.length === 0) return []
  const present = new Set(report.containers.map(({ container }) => container))
  return leaving
    .filter(({ id }) => !present.has(id))
    .map(({ id }) => ({ type: 'ContainerDeleted', atMs: nowMs, container: id }))
}

/** What of it is news; null: nothing, or nothing that counts now. */
export function observation(
  { state, nowMs }: PlanContext,
  container: StoredContainer,
  host: string,
  seen: ObservedContainer,
): EntryOf<'ContainerObserved'> | null {
  if (container.host !== host || container.epoch !== seen.epoch || undecidedMigration(state, container)) return null
  const observed = committedState(container, seen)
  // Dumped or restored and frozen: the outcome of the move is on its way to it.
  if (observed === null || heldForSnapshot(state, container, seen)) return null
  // Stopped without anybody's wish: then it shall stay so, which is news even if its state is known.
  const exited = container.operation === null && observed === 'stopped' && container.desired !== 'stopped'
  const unchanged =
    !exited &&
    (container.state === observed || container.deleting) &&
    container.message === seen.message &&
    container.initPid === seen.initPid &&
    container.startedAtMs === seen.startedAtMs &&
    container.starts === seen.starts &&
    (seen.memory === undefined || same(container.memory, seen.memory)) &&
    (seen.firstBoot === undefined || same(container.firstBoot, seen.firstBoot)) &&
    (seen.leased === true) === (container.leasedEpoch === seen.epoch)
  if (unchanged || agentHasNotSeen(container, seen)) return null
  return {
    type: 'ContainerObserved',
    atMs: nowMs,
    container: container.id,
    host,
    epoch: seen.epoch,
    state: observed,
    message: seen.message,
    initPid: seen.initPid,
    startedAtMs: seen.startedAtMs,
    starts: seen.starts,
    ...(seen.memory === undefined ? {} : { memory: seen.memory }),
    ...(seen.firstBoot === undefined ? {} : { firstBoot: seen.firstBoot }),
    ...(seen.leased === undefined ? {} : { leased: seen.leased }),
  }
}

const isLanding = ({ tables }: ClusterState, { operation }: StoredContainer): boolean =>
  operation !== null && tables.operations.get(operation)?.migration?.phase === 'committed'

/** Frozen for the moment in which its snapshot is taken. */
const heldForSnapshot = (state: ClusterState, container: StoredContainer, seen: ObservedContainer): boolean =>
  seen.state === 'frozen' &&
  container.desired === 'running' &&
  container.operation !== null &&
  ['snapshot', 'copy', 'publish', 'export'].includes(state.tables.operations.get(container.operation)?.kind ?? '')

/** `stopped` while we want it running, from an agent that doesn't know so yet: not news, but the past. */
const agentHasNotSeen = (container: StoredContainer, seen: ObservedContainer): boolean =>
  seen.state === 'stopped' && container.desired !== 'stopped' && seen.revision < container.assignedRevision

function committedState(
  container: StoredContainer,
  seen: ObservedContainer,
): EntryOf<'ContainerObserved'>['state'] | null {
  // Nothing has run of it here, and nothing shall: a copy, or a disk that was moved.
  if (seen.state === 'created') return container.desired === 'stopped' && !seen.errorCode ? 'stopped' : 'pending'
  if (seen.state === 'checkpointed' || seen.state === 'restored') return null
  return seen.state
}

function hostOf(report: HostReport): EntryOf<'HostObserved'>['host'] {
  const { address, grpcPort, streamPort, capacity, features } = report
  return { name: report.host, address, grpcPort, streamPort, capacity, features, images: [...report.images].sort() }
}

function sameHost(committed: Host, seen: EntryOf<'HostObserved'>['host']): boolean {
  return (Object.keys(seen) as (keyof typeof seen)[]).every((key) => same(committed[key], seen[key]))
}

/** Deep equality of plain data, whatever the order of keys. */
function same(left: unknown, right: unknown): boolean {
  if (left === right) return true
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return false
  const keys = Object.keys(left)
  if (keys.length !== Object.keys(right).length) return false
  return keys.every((key) => same((left as Record<string, unknown>)[key], (right as Record<string, unknown>)[key]))
}

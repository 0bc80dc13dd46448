// Lost hosts and what becomes of their containers. A host is lost when this leader has not answered it for so long that its lease must
// be over; not while so many hosts are silent that the trouble is more likely here. Its containers are then placed anew, as many at
// once as hosts can start, and what can't be is said by whyNotHealed.

import { leastLostAfterMs, type Operation, silentAfterMs } from '@drover/protocol'
import { place } from '@drover/scheduler'
import { clusterSnapshot, type PendingPlacement, pendingOf } from './cluster-snapshot.ts'
import { demandOf } from './demand.ts'
import type { Entry } from './entries.ts'
import { healsByItself, whyNotHealed } from './healing.ts'
import { isSilent } from './observed.ts'
import type { PlanContext } from './planner.ts'
import { policyOf } from './scheduling-policy.ts'
import type { ClusterState, StoredContainer } from './state.ts'

/** A host may be back in a moment: twice the least. */
export const usualLostAfterMs = 60_000
/** An evacuation waits so much longer than it takes for a host to be lost. */
const missingHostGraceMs = 15_000
/** Healings begun and not ended at once; each fetches an image perhaps. */
const maxUnderWay = 32

/** How long this leader has answered no pull of a host although it could have; null: it can't say. By a clock that never jumps. */
export interface Leases {
  unansweredMs(host: string): number | null
}

export function planLosses({ state, observed, nowMs, leases }: PlanContext): Entry[] {
  const { hosts, silences, losses } = state.tables
  // More than half of them silent: it is us who are cut off, or the network is gone, and nowhere is room anyway.
  if (silences.size * 2 > hosts.size) return []
  return [...silences.keys()].sort().flatMap((host): Entry[] => {
    if (losses.has(host) || !isSilent(observed, host, nowMs)) return []
    if (!((leases?.unansweredMs(host) ?? 0) > lostAfterMs(state))) return []
    return [{ type: 'HostLost', atMs: nowMs, host, sure: false }]
  })
}

export function planHealing(context: PlanContext): Entry[] {
  const { state } = context
  if (state.tables.losses.size === 0) return []
  let places = maxUnderWay - [...state.running].filter((id) => state.tables.operations.get(id)!.kind === 'heal').length
  const entries: Entry[] = []
  const pending: PendingPlacement[] = []
  for (const container of lostContainers(state)) {
    if (places <= 0) break
    if (!mayHealNow(context, container)) continue
    const placed = placeAnew(context, container, pending)
    if (placed.host === null) continue
    pending.push(pendingOf(placed.host, container.spec))
    places -= 1
    entries.push({
      type: 'ContainerHealed',
      atMs: context.nowMs,
      operation: `heal-${container.id}-${container.epoch}`,
      container: container.id,
      from: container.host,
      epoch: container.epoch,
      destination: placed.host,
      placement: placed.placement,
    })
  }
  return entries
}

/**
 * An evacuation of a lost host: healing does it; this says how far it has come, and who waits and why. A host that is silent is waited for:
 * until it speaks, or is lost. null: it is to be emptied as any other.
 */
export function planLostEvacuation(context: PlanContext, operation: Operation): Entry[] | null {
  const { state, nowMs } = context
  const host = operation.target
  if (operation.cancelRequested) return null
  if (!state.tables.losses.has(host)) return mayYetBeLost(context, operation) ? sayWaiting(context, operation) : null
  const healings = [...state.tables.operations.values()].filter(
    ({ kind, parameters, createdAtMs }) =>
      kind === 'heal' && parameters.from === host && createdAtMs >= operation.createdAtMs,
  )
  const left = lostContainers(state).filter((container) => container.host === host)
  const stays = left.flatMap((container) => {
    const why = whyNotHealed(state, container) ?? whyNoPlace(context, container)
    return why === null ? [] : [`${container.name} (${why})`]
  })
  const under = healings.filter((each) => each.state === 'running').length + left.length - stays.length
  const total = healings.length + left.length
  const said = `host ${host} is lost: ${healings.length - under + left.length - stays.length} of ${total} containers run elsewhere`
  if (under > 0) {
    const progress = { done: total - under - stays.length, total, message: said }
    if (operation.progress.done === progress.done && operation.progress.total === total) return []
    return [{ type: 'OperationAdvanced', atMs: nowMs, operation: operation.id, phase: 'healing', progress }]
  }
  const base = { type: 'OperationEnded', atMs: nowMs, operation: operation.id, figures: {} } as const
  if (stays.length === 0) return [{ ...base, state: 'done', message: said, error: null }]
  const message = `evacuate host ${host}: ${said}; not: ${stays.join(', ')}`
  return [{ ...base, state: 'failed', message, error: { code: 'HOST_UNREACHABLE', message } }]
}

function mayYetBeLost({ state, observed, nowMs, leases }: PlanContext, operation: Operation): boolean {
  if (leases === undefined || !isSilent(observed, operation.target, nowMs)) return false
  return nowMs - operation.createdAtMs < lostAfterMs(state) + missingHostGraceMs
}

function sayWaiting({ nowMs }: PlanContext, { id, phase, progress, target }: Operation): Entry[] {
  if (phase === 'waiting') return []
  const message = `host ${target} is silent: waiting until it is back, or certain to run nothing`
  return [
    { type: 'OperationAdvanced', atMs: nowMs, operation: id, phase: 'waiting', progress: { ...progress, message } },
  ]
}

const lostAfterMs = (state: ClusterState): number =>
  Math.max(leastLostAfterMs, (policyOf(state).healing?.lostAfterS ?? usualLostAfterMs / 1000) * 1000)

function mayHealNow({ state, observed, nowMs, leases }: PlanContext, container: StoredContainer): boolean {
  // Whatever was committed: a host that speaks is not dead.
  if (!isSilent(observed, container.host, nowMs) || container.operation !== null) return false
  // A pull that is being answered now lets it run again: its loss is about to be taken back.
  const needed = state.tables.losses.get(container.host)?.sure ? silentAfterMs : leastLostAfterMs
  if (!((leases?.unansweredMs(container.host) ?? 0) > needed)) return false
  const wanted = healsByItself(state, container.host) || evacuated(state, container.host)
  return wanted && whyNotHealed(state, container) === null
}

function placeAnew(context: PlanContext, container: StoredContainer, pending: readonly PendingPlacement[]) {
  const { state, observed, nowMs, seed } = context
  const snapshot = clusterSnapshot(state, observed, nowMs, { pending, without: container.id })
  const excluded = unfit(context, container)
  // Its quota counts it already.
  const { project: _project, ...demand } = demandOf(container, { host: null, excluded, live: false })
  return place(snapshot, demand, seed)
}

/** The lost one, and who still has something of it, from a move that came to nothing. */
function unfit({ observed }: PlanContext, container: StoredContainer): string[] {
  const remains = [...observed.reports.values()].filter(({ report }) =>
    report.containers.some((seen) => seen.container === container.id),
  )
  return [container.host, ...remains.map(({ report }) => report.host)]
}

function whyNoPlace(context: PlanContext, container: StoredContainer): string | null {
  const { host, placement } = placeAnew(context, container, [])
  return host === null ? placement.reason : null
}

const lostContainers = (state: ClusterState): StoredContainer[] =>
  [...state.tables.containers.values()]
    .filter(({ host }) => state.tables.losses.has(host))
    .sort(
      (left, right) =>
        (right.spec.scheduling?.priority ?? 0) - (left.spec.scheduling?.priority ?? 0) ||
        left.identity.serial - right.identity.serial,
    )

const evacuated = (state: ClusterState, host: string): boolean =>
  [...state.running].some((id) => {
    const { kind, target } = state.tables.operations.get(id)!
    return kind === 'evacuate' && target === host
  })

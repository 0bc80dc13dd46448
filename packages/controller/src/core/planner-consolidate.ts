// Consolidation on the leader: when the policy says so, the host that is quickest to empty is emptied onto hosts in use, one at a
// time, and stays closed: it can be powered down or handed back. It is opened again when a launch fits nowhere else, or when
// emptying it has failed.

import type { Operation } from '@drover/protocol'
import { type ConsolidationPolicy, consolidate, defaultPool, isQuiet, usualRebalancePolicy } from '@drover/scheduler'
import { clusterSnapshot } from './cluster-snapshot.ts'
import { containerSnapshots, moveModelOf } from './container-snapshots.ts'
import type { Entry } from './entries.ts'
import type { PlanContext } from './planner.ts'
import { policyOf } from './scheduling-policy.ts'
import type { ClusterState } from './state.ts'

/** Emptying that failed is not tried again sooner: what was in the way is seldom gone at once. */
const afterFailureMs = 3_600_000
/** A leader that has just begun to listen doesn't know all hosts yet. */
const settleMs = 60_000
/** Blackouts of containers that nobody asked to move come two at a time. */
const parallel = 2

/** As the simulator has it: docs/scheduling.md. */
const usualConsolidation: Omit<ConsolidationPolicy, 'moveModel'> = {
  spareHosts: 1,
  fillTo: 0.95,
  maxMoves: 200,
  emptyBelow: 0.5,
  maxTried: 16,
  afterwards: 'keep',
}

export function planConsolidation(context: PlanContext): Entry[] {
  const { state, observed, nowMs } = context
  const { rebalance: settings } = policyOf(state)
  if (settings.consolidate !== 'on') return []
  const opened = reopened(context)
  if (opened.length > 0) return opened
  if (nowMs - observed.sinceMs < settleMs || isQuiet(settings.quietHours ?? [], nowMs)) return []
  if (somethingMoves(state) || failedNotLongAgo(state, nowMs)) return []
  const released = releaseEmptied(context)
  if (released.length > 0) return released
  const next = nextToEmpty(context)
  if (next === null) return []
  const operation = `${idPrefix}${next.host}-${nowMs.toString(36)}`
  const { host, reason } = next
  return [{ type: 'EvacuationStarted', atMs: nowMs, operation, host, parallel, reason: `CONSOLIDATION: ${reason}` }]
}

/** Hosts that consolidation has emptied and that are closed since. */
export function emptiedHosts(state: ClusterState): string[] {
  const last = new Map<string, Operation>()
  for (const operation of state.tables.operations.values()) {
    if (!['evacuate', 'restore', 'cordon', 'uncordon'].includes(operation.kind)) continue
    const before = last.get(operation.target)
    if (!before || operation.revision > before.revision) last.set(operation.target, operation)
  }
  const emptied = [...last.values()].filter((operation) => isConsolidation(operation) && operation.state === 'done')
  return emptied
    .map(({ target }) => target)
    .filter((host) => state.tables.hosts.get(host)?.cordoned === true)
    .sort()
}

/** Whoever is asked for machines is told of each that is empty, once. */
function releaseEmptied({ state, nowMs }: PlanContext): Entry[] {
  const { afterwards = 'hand-back' } = policyOf(state).rebalance
  if (afterwards === 'keep') return []
  return emptiedHosts(state).flatMap((host): Entry[] => {
    const emptied = [...state.tables.operations.values()]
      .filter((operation) => isConsolidation(operation) && operation.target === host)
      .sort((left, right) => right.revision - left.revision)[0]!
    const operation = `${emptied.id}-release`
    if (state.tables.operations.has(operation)) return []
    const reason = `host ${host} is empty and closed`
    const facts = { host, afterwards }
    return [{ type: 'MachinesAsked', atMs: nowMs, operation, target: host, event: 'release', facts, reason }]
  })
}

const idPrefix = 'consolidate-'
export const isConsolidation = ({ kind, id }: Operation): boolean => kind === 'evacuate' && id.startsWith(idPrefix)

function nextToEmpty({ state, observed, nowMs }: PlanContext): { host: string; reason: string } | null {
  const { rebalance: settings, pools } = policyOf(state)
  const snapshot = clusterSnapshot(state, observed, nowMs)
  const containers = containerSnapshots(state, observed, nowMs)
  const resting = restingContainers(state, nowMs)
  const policy = {
    ...usualConsolidation,
    ...(settings.spareHosts === undefined ? {} : { spareHosts: settings.spareHosts }),
    ...(settings.emptyBelow === undefined ? {} : { emptyBelow: settings.emptyBelow }),
    moveModel: moveModelOf(state),
  }
  const names = [...new Set(snapshot.hosts.map(({ pool }) => pool ?? defaultPool))].sort()
  for (const pool of names) {
    // Pools that balance or spread want their hosts used.
    if ((pools[pool]?.policy ?? 'pack') !== 'pack') continue
    const hosts = snapshot.hosts.filter((host) => (host.pool ?? defaultPool) === pool)
    const here = new Set(hosts.map(({ name }) => name))
    const plan = consolidate(
      { ...snapshot, hosts },
      containers.filter(({ host }) => here.has(host)),
      policy,
      { containers: resting, hosts: new Set() },
    )
    const [first] = plan.emptied
    if (first) return first
  }
  return null
}

function restingContainers(state: ClusterState, nowMs: number): Set<string> {
  const { containerCooldownS } = policyOf(state).rebalance
  const cooldownMs =
    containerCooldownS === undefined ? usualRebalancePolicy.containerCooldownMs : containerCooldownS * 1000
  const moves = [...state.tables.begunMoves.values()].filter(({ atMs }) => nowMs - atMs < cooldownMs)
  return new Set(moves.map(({ container }) => container))
}

function somethingMoves(state: ClusterState): boolean {
  return [...state.running].some((id) => {
    const { kind } = state.tables.operations.get(id)!
    return ['evacuate', 'restore', 'rebalance', 'move'].includes(kind)
  })
}

const failedNotLongAgo = (state: ClusterState, nowMs: number): boolean =>
  [...state.tables.operations.values()].some(
    (operation) =>
      isConsolidation(operation) && operation.state === 'failed' && nowMs - operation.updatedAtMs < afterFailureMs,
  )

const openAndEmpty = (state: ClusterState): number => {
  const used = new Set([...state.tables.containers.values()].map(({ host }) => host))
  return [...state.tables.hosts.values()].filter(({ name, cordoned }) => !cordoned && !used.has(name)).length
}

/** Half an emptied host is a loss, and a closed one too: it takes containers again, once. And spare hosts stay open. */
function reopened({ state, nowMs }: PlanContext): Entry[] {
  const entries: Entry[] = []
  const spare = policyOf(state).rebalance.spareHosts ?? usualConsolidation.spareHosts
  const [firstEmptied] = emptiedHosts(state)
  if (firstEmptied !== undefined && openAndEmpty(state) < spare) {
    const operation = `spare-${firstEmptied}-${nowMs.toString(36)}`
    entries.push({ type: 'HostCordonRequested', atMs: nowMs, operation, kind: 'uncordon', host: firstEmptied })
  }
  for (const operation of state.tables.operations.values()) {
    if (!isConsolidation(operation) || !['failed', 'cancelled'].includes(operation.state)) continue
    const reopening = `${operation.id}-reopen`
    if (state.tables.operations.has(reopening) || !state.tables.hosts.get(operation.target)?.cordoned) continue
    const kind = 'uncordon' as const
    entries.push({ type: 'HostCordonRequested', atMs: nowMs, operation: reopening, kind, host: operation.target })
  }
  return entries
}

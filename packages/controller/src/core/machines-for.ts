// Whether a demand that fits nowhere is worth another machine: asked when no few moves make room. One that consolidation has emptied and
// that was powered down since comes first; then the cheapest on offer that would hold it.

import { pidsOfHost } from '@drover/protocol'
import {
  type ClusterSnapshot,
  type Demand,
  decideRoom,
  type MachineShape,
  place,
  usualProvisionPolicy,
} from '@drover/scheduler'
import { clusterSnapshot } from './cluster-snapshot.ts'
import { containerSnapshots, moveModelOf } from './container-snapshots.ts'
import type { EntryOf } from './entries.ts'
import type { Observed } from './observed.ts'
import { emptiedHosts } from './planner-consolidate.ts'
import { policyOf } from './scheduling-policy.ts'
import type { ClusterState } from './state.ts'

export type MachinesWanted = Pick<EntryOf<'MachinesAsked'>, 'event' | 'target' | 'facts' | 'reason'>

export function machinesFor(
  state: ClusterState,
  observed: Observed,
  nowMs: number,
  pending: readonly Demand[],
  seed: number,
): MachinesWanted | null {
  return poweredDown(state, observed, nowMs, pending, seed) ?? newMachine(state, observed, nowMs, pending, seed)
}

/** A host that consolidation has emptied and closed, and that would take this; null: none. */
export function closedHostFor(
  state: ClusterState,
  snapshot: ClusterSnapshot,
  demand: Demand,
  seed: number,
): string | null {
  const takes = (host: string) => {
    const hosts = snapshot.hosts.map((each) => (each.name === host ? { ...each, cordoned: false } : each))
    return place({ ...snapshot, hosts }, demand, seed).host === host
  }
  return emptiedHosts(state).find(takes) ?? null
}

/** A host that is closed and silent since it was emptied, and would take the first that is pending. */
function poweredDown(
  state: ClusterState,
  observed: Observed,
  nowMs: number,
  [demand]: readonly Demand[],
  seed: number,
): MachinesWanted | null {
  const snapshot = clusterSnapshot(state, observed, nowMs)
  for (const host of demand === undefined ? [] : emptiedHosts(state)) {
    const hosts = snapshot.hosts.map((each) => (each.name === host ? { ...each, ready: true, cordoned: false } : each))
    if (snapshot.hosts.some(({ name, ready }) => name === host && ready)) continue
    if (place({ ...snapshot, hosts }, demand!, seed).host !== host) continue
    const { name, requests } = demand!
    const reason = `${name} fits on host ${host}, which was emptied and is silent`
    return { event: 'power-on', target: host, facts: { host, pending: [{ name, ...requests }] }, reason }
  }
  return null
}

function newMachine(
  state: ClusterState,
  observed: Observed,
  nowMs: number,
  pending: readonly Demand[],
  seed: number,
): MachinesWanted | null {
  const shapes = Object.entries(policyOf(state).machines ?? {}).map(
    ([name, { price, pool, ...amounts }]): MachineShape => {
      return { name, capacity: { ...amounts, pids: pidsOfHost }, price, host: pool === undefined ? {} : { pool } }
    },
  )
  if (shapes.length === 0) return null
  const snapshot = clusterSnapshot(state, observed, nowMs)
  const policy = { ...usualProvisionPolicy, shapes, moveModel: moveModelOf(state) }
  const { requests, decisions } = decideRoom(
    snapshot,
    containerSnapshots(state, observed, nowMs),
    pending,
    policy,
    seed,
  )
  const [request] = requests
  if (!request) return null
  const demands = pending
    .filter(({ name }) => request.pending.includes(name))
    .map(({ name, requests: asks }) => ({ name, ...asks }))
  const reason = decisions.find(({ kind }) => kind === 'provision')?.reason ?? 'no host has room'
  return {
    event: 'provision',
    target: request.shape,
    facts: { shape: request.shape, machines: request.machines, pending: demands },
    reason,
  }
}

// Preempted containers that find no room are a demand like a launch that fits nowhere: a host that consolidation has emptied is opened for
// them, or machines are asked for.

import { clusterSnapshot } from './cluster-snapshot.ts'
import type { Entry } from './entries.ts'
import { closedHostFor, machinesFor } from './machines-for.ts'
import type { PlanContext } from './planner.ts'
import { waitingForAnyHost } from './planner-resume.ts'
import type { ClusterState } from './state.ts'

/** A machine takes its time to come, and one that doesn't come isn't asked for all the time. */
const askAgainMs = 600_000
/** Machines are planned for so many together. */
const mostPending = 64

export function planWaiting({ state, observed, nowMs, seed }: PlanContext): Entry[] {
  const waiting = waitingForAnyHost(state, nowMs).slice(0, mostPending)
  const [first] = waiting
  if (first === undefined) return []
  const operation = `waiting-${first.container.id}-${nowMs.toString(36)}`
  const host = closedHostFor(state, clusterSnapshot(state, observed, nowMs), first.demand, seed)
  if (host !== null) return [{ type: 'HostCordonRequested', atMs: nowMs, operation, kind: 'uncordon', host }]
  if (askedLately(state, nowMs)) return []
  const demands = waiting.map(({ demand }) => demand)
  const wanted = machinesFor(state, observed, nowMs, demands, seed)
  return wanted === null ? [] : [{ type: 'MachinesAsked', atMs: nowMs, operation, ...wanted }]
}

const askedLately = (state: ClusterState, nowMs: number): boolean =>
  [...state.tables.operations.values()].some(({ kind, parameters, state: how, updatedAtMs }) => {
    if (kind !== 'machines' || parameters.event === 'release') return false
    return how === 'running' || nowMs - updatedAtMs < askAgainMs
  })

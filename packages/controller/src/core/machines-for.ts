// Whether a demand that fits nowhere is worth another machine: asked when no few moves make room, and a machine on offer would
// hold it.

import { type Demand, decideRoom, type MachineShape, usualProvisionPolicy } from '@drover/scheduler'
import { clusterSnapshot } from './cluster-snapshot.ts'
import { containerSnapshots, moveModelOf } from './container-snapshots.ts'
import type { EntryOf } from './entries.ts'
import type { Observed } from './observed.ts'
import { policyOf } from './scheduling-policy.ts'
import type { ClusterState } from './state.ts'

export type MachinesWanted = Pick<EntryOf<'MachinesAsked'>, 'target' | 'facts' | 'reason'>

/** Processes aren't what a machine is chosen by. */
const pidsOfMachine = 100_000

export function machinesFor(
  state: ClusterState,
  observed: Observed,
  nowMs: number,
  pending: readonly Demand[],
  seed: number,
): MachinesWanted | null {
  const shapes = Object.entries(policyOf(state).machines ?? {}).map(
    ([name, { price, pool, ...amounts }]): MachineShape => {
      return { name, capacity: { ...amounts, pids: pidsOfMachine }, price, host: pool === undefined ? {} : { pool } }
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
    target: request.shape,
    facts: { shape: request.shape, machines: request.machines, pending: demands },
    reason,
  }
}

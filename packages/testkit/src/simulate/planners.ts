// Between a replay and the scheduler's planners: the simulated cluster as the snapshot that they are told, and their plans
// as moves of workloads.

import {
  type ClusterSnapshot,
  type ConsolidationPolicy,
  type ContainerSnapshot,
  consolidate,
  forecast,
  type RebalancePolicy,
  rebalance,
  usualMoveModel,
  usualRebalancePolicy,
} from '@drover/scheduler'
import { demandOf, emptyHost, hostName } from './placer.ts'
import type { Cluster, Move } from './replay.ts'
import { cadence, type ReplaySettings, usedMemoryShare } from './settings.ts'
import { loadAt, type Trace, type Workload } from './trace.ts'

const consolidation: ConsolidationPolicy = {
  spareHosts: 0,
  fillTo: 1,
  maxMoves: 400,
  emptyBelow: 0.7,
  maxTried: 48,
  afterwards: 'power-down',
  moveModel: usualMoveModel,
}

/** Share of its memory that an idle container really holds, and so has to be sent. */
const residentShare = 0.2

export function planEmptying(cluster: Cluster, settings: ReplaySettings, nowS: number): Move[] {
  const resting = new Set<string>()
  for (const { workload, atS } of cluster.past) if (nowS - atS < cadence.restS) resting.add(workload.name)
  for (const workload of cluster.where.keys()) {
    if (nowS - workload.arriveS < cadence.matureS) resting.add(workload.name)
  }
  const { snapshot, containers, byName } = told(cluster, settings, () => null)
  const rests = { containers: resting, hosts: new Set<string>() }
  const plan = consolidate(snapshot, containers, consolidation, rests)
  return plan.emptied.flatMap(({ moves }) => moves.map(({ container, to }) => moveOf(byName, container, to)))
}

export function planBalance(cluster: Cluster, trace: Trace, settings: ReplaySettings, nowS: number): Move[] {
  const even = settings.policy === 'balance'
  const policy: RebalancePolicy = {
    ...usualRebalancePolicy,
    startAbove: even ? 0.1 : Number.POSITIVE_INFINITY,
    stopAt: even ? 0.06 : Number.POSITIVE_INFINITY,
    maxConcurrent: 16,
    movesPerHour: 60,
    hostCooldownMs: 0,
    searchSteps: 20_000,
  }
  const { snapshot, containers, byName } = told(cluster, settings, (workload) => {
    const samples = []
    const fromS = Math.max(workload.arriveS, nowS - 86_400)
    for (let atS = nowS; atS >= fromS; atS -= cadence.sampleS) {
      const cpuMilli = workload.cpuMilli * loadAt(workload, atS, trace)
      samples.push({ atMs: 1000 * atS, cpuMilli, memoryBytes: usedMemoryShare * workload.memoryBytes })
    }
    return forecast(samples, 1000 * nowS)
  })
  const moves = cluster.past.map(({ workload, from, to, atS }) => ({
    container: workload.name,
    from: hostName(from),
    to: hostName(to),
    atMs: 1000 * atS,
    urgent: false,
  }))
  const history = { moves, running: 0, active: cluster.balancing }
  const plan = rebalance({ snapshot, containers }, history, policy, 1000 * nowS)
  cluster.balancing = plan.active
  return plan.moves.map(({ container, to }) => moveOf(byName, container, to))
}

function told(
  cluster: Cluster,
  { hosts, host, overcommit }: ReplaySettings,
  use: (workload: Workload) => ContainerSnapshot['use'],
): { snapshot: ClusterSnapshot; containers: ContainerSnapshot[]; byName: Map<string, Workload> } {
  const byName = new Map<string, Workload>()
  const containers: ContainerSnapshot[] = []
  const snapshots = Array.from({ length: hosts }, (_, index) => {
    const each = emptyHost(index, { count: hosts, ...host })
    for (const workload of cluster.on[index]!) {
      each.requested.cpuMilli += workload.cpuMilli
      each.requested.memoryBytes += workload.memoryBytes
      each.containers += 1
      byName.set(workload.name, workload)
      containers.push({
        demand: demandOf(workload),
        host: each.name,
        movable: true,
        use: use(workload),
        residentBytes: residentShare * workload.memoryBytes,
        diskBytes: 0,
        dirtyBytesPerS: 0,
      })
    }
    return each
  })
  return { snapshot: { hosts: snapshots, pools: { default: { overcommit: { cpu: overcommit } } } }, containers, byName }
}

const moveOf = (byName: ReadonlyMap<string, Workload>, container: string, to: string): Move => ({
  workload: byName.get(container)!,
  to: Number(to.slice(1)),
})

// Random launches, deletions and changes of leaders on hosts that are too small for all: no host ever runs more than it has, only less important
// containers that may be stopped are stopped, and when nothing more is asked for, the cluster comes to rest with all running that have room.

import { place } from '@drover/scheduler'
import fc from 'fast-check'
import t from 'tap'
import { arrivingHost } from '../src/core/capacity.ts'
import { clusterSnapshot } from '../src/core/cluster-snapshot.ts'
import { demandOf } from '../src/core/demand.ts'
import { heldRequests } from '../src/core/preemption.ts'
import { roomEntry } from '../src/core/room-plan.ts'
import { ModelCluster } from './support/model-cluster.ts'

const GiB = 2 ** 30
const capacityGiB = 6
const capacity = { cpuMilli: 64_000, memoryBytes: capacityGiB * GiB, diskBytes: 2 ** 40, pids: 100_000 }
const hosts = ['a', 'b', 'c']
const runs = 80

const anyStep = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('launch' as const),
      gib: fc.integer({ min: 2, max: 5 }),
      priority: fc.nat(9),
      preemptible: fc.constantFrom(true, true, true, false),
      leave: fc.constantFrom('live' as const, 'live' as const, 'stay' as const),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('delete' as const), which: fc.nat(100) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('stop' as const), which: fc.nat(100) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('round' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('change leader' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(1_000, 12_000, 40_000) }) },
)
type Step = typeof anyStep extends fc.Arbitrary<infer T> ? T : never

t.test('preemption at random: no host is overfull, and all comes to rest', async (t) => {
  const seen = { stops: 0, resumptions: 0, moves: 0 }
  fc.assert(
    fc.property(fc.array(anyStep, { minLength: 40, maxLength: 70, size: 'max' }), (steps) => {
      const cluster = new ModelCluster(hosts.map((name) => ({ name, capacity })))
      for (const [index, step] of steps.entries()) {
        carryOut(cluster, step, index)
        check(cluster)
      }
      wait(cluster, 30_000, 30)
      const stops = stopsOf(cluster)
      wait(cluster, 60_000, 30)
      check(cluster)
      if (stopsOf(cluster) !== stops) throw new Error('containers are stopped though nobody asks for anything')
      restsWell(cluster)
      seen.stops += stops
      seen.resumptions += cluster.events.filter(({ kind }) => kind === 'container.resuming').length
      seen.moves += [...cluster.state.tables.operations.values()].filter(
        ({ migration }) => migration?.mode === 'cold',
      ).length
    }),
    { numRuns: runs, seed: 7 },
  )
  t.ok(seen.stops > 20 && seen.resumptions > 5 && seen.moves > 1, JSON.stringify(seen))
})

function carryOut(cluster: ModelCluster, step: Step, index: number): void {
  const names = [...cluster.state.idsByName.keys()].sort()
  const chosen = 'which' in step ? names[step.which % Math.max(1, names.length)] : undefined
  if (step.do === 'launch') launch(cluster, `c${index}`, step)
  if (step.do === 'delete' || step.do === 'stop') {
    if (chosen === undefined) return
    cluster.propose({
      type: 'PowerRequested',
      atMs: cluster.nowMs,
      operation: `op-${index}`,
      kind: step.do,
      container: chosen,
      stopTimeoutMs: null,
    })
  }
  if (step.do === 'round') cluster.round()
  if (step.do === 'change leader') cluster.changeLeader()
  if (step.do === 'wait') wait(cluster, step.ms, 1)
}

/** As a controller does it: where it fits, or with room that is made. */
function launch(cluster: ModelCluster, name: string, step: Extract<Step, { do: 'launch' }>): void {
  const { gib, priority, preemptible, leave } = step
  const spec = {
    image: 'sha256:1',
    imageName: 'busybox',
    requests: { cpuMilli: 10, memoryBytes: gib * GiB, diskBytes: GiB, pids: 10 },
    scheduling: { priority, preemptible, leave },
    init: ['/sbin/init'],
    environment: {},
    labels: {},
  }
  const { state, observed, nowMs } = cluster
  const demand = demandOf({ name, spec }, { host: null, excluded: [], live: false })
  const { host } = place(clusterSnapshot(state, observed, nowMs), demand, 1)
  if (host !== null) {
    cluster.launch(name, host, `launch-${name}`, spec)
    return
  }
  const facts = { name, spec, machineId: '1'.repeat(32), network: '10.77.0.0/16', gateway: null }
  const entry = roomEntry({ state, observed, nowMs, seed: 1, pending: [] }, `launch-${name}`, demand, facts)
  if (entry !== null) cluster.must(entry)
}

function wait(cluster: ModelCluster, ms: number, times: number): void {
  for (let time = 0; time < times; time += 1) {
    cluster.pass(ms)
    cluster.settle()
    check(cluster)
  }
}

function stopsOf({ state }: ModelCluster): number {
  return [...state.tables.operations.values()].filter(({ kind }) => kind === 'preempt').length
}

function check(cluster: ModelCluster): void {
  const { containers, operations } = cluster.state.tables
  for (const host of hosts) {
    const model = cluster.hosts.get(host)!
    const executing = model
      .executing()
      .map(({ container }) => containers.get(container)?.spec.requests.memoryBytes ?? 0)
    atMost(`${host} executes`, executing)
    const held = [...containers.values()].flatMap((each) => [
      ...(each.host === host ? [heldRequests(each).memoryBytes] : []),
      ...(arrivingHost(cluster.state, each.operation) === host ? [each.spec.requests.memoryBytes] : []),
    ])
    atMost(`${host} is asked for`, held)
  }
  for (const { kind, target, parameters } of operations.values()) {
    const victim = kind === 'preempt' ? containers.get(String(parameters.container)) : undefined
    if (!victim) continue
    const { preemptible, priority = 0 } = victim.spec.scheduling ?? {}
    if (!preemptible || Number(parameters.priority) <= priority) throw new Error(`${target} must not be stopped`)
  }
}

function atMost(what: string, bytes: readonly number[]): void {
  const total = bytes.reduce((sum, each) => sum + each, 0)
  if (total > capacity.memoryBytes) throw new Error(`${what} ${total / GiB} GiB of ${capacityGiB}`)
}

/** Nothing is under way, and whoever waits has room nowhere that it may go to. */
function restsWell(cluster: ModelCluster): void {
  const { state, observed, nowMs } = cluster
  if (state.running.size > 0) throw new Error(`still under way: ${[...state.running].join()}`)
  const snapshot = clusterSnapshot(state, observed, nowMs)
  for (const { name, host, spec, preempted } of state.tables.containers.values()) {
    if (!preempted?.resumes) continue
    const requests = { ...spec.requests, diskBytes: 0 }
    const only = spec.scheduling?.leave === 'stay' ? host : null
    const demand = demandOf({ name, spec: { ...spec, requests } }, { host: only, excluded: [], live: false })
    const placed = place(snapshot, demand, 1)
    if (placed.host !== null) throw new Error(`${name} waits on ${host}, and ${placed.host} has room for it`)
  }
}

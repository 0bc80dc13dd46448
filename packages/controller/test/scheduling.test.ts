// What operators say about scheduling reaches the scheduler: labels, taints, pools with overcommit, groups and quotas.

import type { HostSetRequest, PolicyChange, Scheduling } from '@drover/protocol'
import { place } from '@drover/scheduler'
import t from 'tap'
import { clusterSnapshot, pendingOf } from '../src/core/cluster-snapshot.ts'
import { demandOf } from '../src/core/demand.ts'
import { decodeSnapshot, encodeSnapshot } from '../src/core/state.ts'
import { UseHistory } from '../src/core/use-history.ts'
import { hostNamed } from '../src/core/views.ts'
import { ModelCluster } from './support/model-cluster.ts'

const requests = { cpuMilli: 100, memoryBytes: 64 << 20, diskBytes: 0, pids: 100 }
const threeHosts = () => new ModelCluster([{ name: 'a' }, { name: 'b' }, { name: 'c' }])

function setHost(cluster: ModelCluster, host: string, change: HostSetRequest) {
  const operation = `set-${host}-${cluster.state.index}`
  return cluster.must({ type: 'HostSet', atMs: cluster.nowMs, operation, host, change })
}

function setPolicy(cluster: ModelCluster, change: PolicyChange) {
  const operation = `policy-${cluster.state.index}`
  return cluster.must({ type: 'PolicyChanged', atMs: cluster.nowMs, operation, change })
}

function placed(cluster: ModelCluster, scheduling: Scheduling, asked = requests) {
  const { state, observed, nowMs } = cluster
  const demand = demandOf(
    { name: 'new', spec: { image: 'sha256:1', requests: asked, scheduling } },
    { host: null, excluded: [], live: false },
  )
  return place(clusterSnapshot(state, observed, nowMs), demand, 1)
}

const refusal = (result: ReturnType<typeof placed>, host: string) =>
  result.placement.hosts.find((each) => each.host === host)?.refusal

t.test('a label that is required, a pin and a taint decide where it goes', async (t) => {
  const cluster = threeHosts()
  t.match(setHost(cluster, 'b', { labels: { disk: 'ssd' } }), { state: 'done', kind: 'host-set' })
  setHost(cluster, 'c', { taints: { gpu: 'refuse' } })
  t.equal(placed(cluster, { require: { disk: 'ssd' } }).host, 'b')
  t.equal(refusal(placed(cluster, {}), 'c'), 'TAINTED')
  t.equal(refusal(placed(cluster, { tolerate: ['gpu'] }), 'c'), null)
  t.equal(placed(cluster, { hosts: ['a'] }).host, 'a')
  cluster.settle()
  t.strictSame(cluster.state.tables.hosts.get('b')!.labels, { disk: 'ssd' }, 'reports don’t take it away')
  setHost(cluster, 'b', { labels: { disk: null } })
  t.equal(placed(cluster, { require: { disk: 'ssd' } }).host, null)
})

t.test('what its processor, kernel and CRIU must have', async (t) => {
  const cluster = new ModelCluster([
    { name: 'a', features: { cpuFlags: ['avx2'], cgroup: 'hybrid' } },
    { name: 'b', features: { cpuFlags: [] } },
    { name: 'c', migratable: false },
  ])
  t.equal(placed(cluster, { cpuFeatures: ['avx2'] }).host, 'a')
  t.equal(refusal(placed(cluster, { cpuFeatures: ['avx2'] }), 'b'), 'MISSING_CPU_FEATURE')
  t.equal(refusal(placed(cluster, { kernelFeatures: ['cgroup-v2'] }), 'a'), 'MISSING_KERNEL_FEATURE')
  t.equal(refusal(placed(cluster, { criuFeatures: ['live'] }), 'c'), 'MISSING_CRIU_FEATURE')
  t.equal(placed(cluster, { kernelFeatures: ['cgroup-v2'], criuFeatures: ['live'] }).host, 'b')
})

t.test(
  'devices that are claimed are taken, also by those on their way, and free again with their container',
  async (t) => {
    const cluster = threeHosts()
    const claim = { gpu: 1 }
    setHost(cluster, 'b', { deviceCounts: { gpu: 1 } })
    setHost(cluster, 'c', { deviceCounts: { gpu: 1 } })
    cluster.settle()
    t.strictSame(cluster.state.tables.hosts.get('b')!.deviceCounts, { gpu: 1 }, 'reports don’t take them away')
    cluster.launch('first', 'b', 'l1', { scheduling: { claim } })
    cluster.settle()
    const second = placed(cluster, { claim })
    t.equal(second.host, 'c')
    t.match(
      second.placement.hosts.find(({ host }) => host === 'b'),
      {
        refusal: 'MISSING_DEVICE',
        detail: 'needs 1 of gpu, 0 free',
      },
    )
    cluster.move('first', 'c')
    t.equal(placed(cluster, { claim }).host, null, 'it has both while it moves')
    cluster.settle()
    t.equal(placed(cluster, { claim }).host, 'b')
    setHost(cluster, 'b', { deviceCounts: { gpu: null } })
    t.equal(placed(cluster, { claim }).host, null)
  },
)

t.test('two that listen at one address are not placed together, nor moved together', async (t) => {
  const cluster = threeHosts()
  const devices = { web: { type: 'proxy', listen: 'tcp:0.0.0.0:80', connect: 'tcp:127.0.0.1:80' } as const }
  cluster.launch('first', 'a', 'l1', { devices })
  cluster.launch('second', 'b', 'l2', { devices })
  cluster.settle()
  const third = (wanted: object) => {
    const spec = { ...cluster.container('first').spec, ...wanted }
    const demand = demandOf({ name: 'third', spec }, { host: null, excluded: [], live: false })
    return place(clusterSnapshot(cluster.state, cluster.observed, cluster.nowMs), demand, 1)
  }
  const refused = third({ devices })
  t.equal(refused.host, 'c')
  t.match(
    refused.placement.hosts.filter(({ feasible }) => !feasible),
    [
      { host: 'a', refusal: 'ADDRESS_IN_USE', detail: /tcp:0\.0\.0\.0:80/ },
      { host: 'b', refusal: 'ADDRESS_IN_USE' },
    ],
  )
  const pending = [pendingOf('c', { ...cluster.container('first').spec, devices })]
  const options = { pending, without: 'c2' }
  const demand = demandOf(cluster.container('second'), { host: null, excluded: ['b'], live: true })
  const snapshot = clusterSnapshot(cluster.state, cluster.observed, cluster.nowMs, options)
  const moved = place(snapshot, demand, 1)
  t.equal(moved.host, null, 'one is on its way to c')
  t.match(moved.placement.reason, /2 with a container that listens at its address/)
})

t.test('a host whose kernel has no more of what every container needs takes no more', async (t) => {
  const cluster = new ModelCluster([
    { name: 'a', features: { limits: { bridgePorts: 2, neighbourEntries: 100 } } },
    { name: 'b', features: { limits: { bridgePorts: 100, neighbourEntries: 1 } } },
  ])
  for (const [name, host] of Object.entries({ one: 'a', two: 'a', three: 'b' })) cluster.launch(name, host)
  cluster.settle()
  const result = placed(cluster, {})
  t.equal(result.host, null)
  t.equal(refusal(result, 'a'), 'INSUFFICIENT_BRIDGE_PORTS')
  t.equal(refusal(result, 'b'), 'INSUFFICIENT_NEIGHBOUR_ENTRIES')
  const { limit } = hostNamed(cluster.state, cluster.observed, cluster.nowMs, 'a')
  t.strictSame(limit, { resource: 'bridgePorts', share: 1, free: 0 }, 'which the host’s view says as well')
})

t.test('members of a strict group are kept apart, those on their way included', async (t) => {
  const cluster = threeHosts()
  const group = { name: 'db', kind: 'spread', strict: true, topology: 'host' } as const
  cluster.launch('db-1', 'a', 'l1', { scheduling: { group } })
  cluster.launch('db-2', 'b', 'l2', { scheduling: { group } })
  cluster.settle()
  t.equal(placed(cluster, { group }).host, 'c')
  cluster.move('db-2', 'c')
  const result = placed(cluster, { group })
  t.equal(result.host, null)
  t.equal(refusal(result, 'c'), 'GROUP_SPREAD')
})

t.test('a project over its quota gets nothing more, with the figures; apply checks it again', async (t) => {
  const cluster = threeHosts()
  setPolicy(cluster, { projects: { blue: { containers: 1 } } })
  t.ok(placed(cluster, { project: 'blue' }).host)
  cluster.launch('one', 'a', 'l1', { scheduling: { project: 'blue' } })
  const result = placed(cluster, { project: 'blue' })
  t.equal(refusal(result, 'a'), 'PROJECT_QUOTA')
  t.throws(() => cluster.launch('two', 'a', 'l2', { scheduling: { project: 'blue' } }), /1 of 1 used/)
  setPolicy(cluster, { projects: { blue: { privileged: false } } })
  t.ok(placed(cluster, { project: 'blue' }).host)
  const privileged = { scheduling: { project: 'blue' }, security: { privileged: true } }
  t.throws(() => cluster.launch('two', 'a', 'l2', privileged), /may not be privileged/)
  setPolicy(cluster, { projects: { blue: null } })
  t.ok(placed(cluster, { project: 'blue' }).host)
})

t.test('a pool that overcommits takes more than there is, while what is measured fits', async (t) => {
  const capacity = { cpuMilli: 1000, memoryBytes: 2 ** 33, diskBytes: 2 ** 40, pids: 10_000 }
  const cluster = new ModelCluster([{ name: 'a', capacity }])
  cluster.launch('one', 'a', 'l1', { requests: { ...requests, cpuMilli: 900 } })
  cluster.settle()
  const more = { ...requests, cpuMilli: 500 }
  t.equal(refusal(placed(cluster, {}, more), 'a'), 'INSUFFICIENT_CPU')
  setPolicy(cluster, { pools: { default: { overcommitCpu: 2 } } })
  t.equal(placed(cluster, {}, more).host, 'a')
  cluster.launch('two', 'a', 'l2', { requests: more })
  // It is assumed to use what it asks for.
  const uses = { of: () => ({ expected: { cpuMilli: 200, memoryBytes: 0 }, memoryBytes: 0, forMs: 60_000 }) }
  const { state, observed, nowMs } = cluster
  const demand = demandOf(
    { name: 'new', spec: { image: 'sha256:1', requests: more } },
    { host: null, excluded: [], live: false },
  )
  cluster.settle()
  t.equal(place(clusterSnapshot(state, { ...observed, uses }, nowMs), demand, 1).host, 'a')
  const busy = { of: () => ({ expected: { cpuMilli: 800, memoryBytes: 0 }, memoryBytes: 0, forMs: 60_000 }) }
  const refused = place(clusterSnapshot(state, { ...cluster.observed, uses: busy }, nowMs), demand, 1)
  t.equal(refused.placement.hosts[0]!.refusal, 'MEASURED_CPU')
})

t.test('policy and settings are part of a snapshot of the state', async (t) => {
  const cluster = threeHosts()
  setPolicy(cluster, { pools: { gpu: { policy: 'balance' } }, rebalance: { mode: 'on' } })
  setHost(cluster, 'a', { pool: 'gpu', zone: 'z1' })
  const restored = decodeSnapshot(encodeSnapshot(cluster.state))
  t.strictSame(restored.tables.policies, cluster.state.tables.policies)
  t.match(restored.tables.hosts.get('a'), { pool: 'gpu', zone: 'z1' })
})

t.test('use: totals become means; a move, a restart and a repeated report count once', async (t) => {
  const uses = new UseHistory()
  const cluster = threeHosts()
  cluster.launch('web', 'a')
  cluster.settle()
  const { id } = cluster.container('web')
  const say = (host: string, atMs: number, cpuUsec: number, epoch = 1) => {
    const report = cluster.hosts.get('a')!.report()
    const [seen] = report.containers
    uses.record({ ...report, host, containers: [{ ...seen!, cpuUsec, epoch, memoryBytes: 1000 }] }, atMs)
  }
  say('a', 0, 5_000_000)
  t.equal(uses.of(id, 0)!.expected, null, 'one total is no rate')
  for (let second = 1; second <= 60; second += 1) say('a', second * 1000, 5_000_000 + second * 500_000)
  t.match(uses.of(id, 60_000)!.expected, { cpuMilli: 500, memoryBytes: 1000 })
  say('b', 61_000, 0, 2)
  say('a', 61_500, 90_000_000, 1)
  for (let second = 62; second <= 90; second += 1) say('b', second * 1000, (second - 61) * 500_000, 2)
  t.equal(Math.round(uses.of(id, 90_000)!.expected!.cpuMilli), 500, 'the old side says nothing any more')
  for (let minute = 2; minute <= 3000; minute += 1) say('b', minute * 60_000, minute * 60 * 250_000, 2)
  t.equal(Math.round(uses.of(id, 3000 * 60_000)!.expected!.cpuMilli), 250, 'a day later only the day counts')
  uses.record({ ...cluster.hosts.get('b')!.report(), containers: [] }, 4000 * 60_000)
  t.equal(uses.size, 0, 'who is gone is forgotten')
})

// Rebalancing by the leader: from measured load to moves with reasons, restrained by what is committed, so that leaders agree.

import type { PolicyChange } from '@drover/protocol'
import t from 'tap'
import type { Observed } from '../src/core/observed.ts'
import { planRebalance } from '../src/core/planner-rebalance.ts'
import { rebalancePlan } from '../src/core/rebalance-plan.ts'
import { decodeSnapshot, encodeSnapshot } from '../src/core/state.ts'
import { ModelCluster } from './support/model-cluster.ts'

const capacity = { cpuMilli: 4000, memoryBytes: 2 ** 33, diskBytes: 2 ** 40, pids: 100_000 }
const requests = { cpuMilli: 100, memoryBytes: 64 << 20, diskBytes: 0, pids: 100 }
const names = (count: number) => Array.from({ length: count }, (_, index) => `web-${index + 1}`)

/** Six on a, each using half a core: 3 of 4 cores; b and c are empty. */
function uneven(rebalance: PolicyChange['rebalance'] = { mode: 'on' }) {
  const cluster = new ModelCluster(['a', 'b', 'c'].map((name) => ({ name, capacity })))
  for (const name of names(6)) cluster.launch(name, 'a', `l-${name}`, { requests })
  cluster.settle()
  cluster.pass(120_000)
  setPolicy(cluster, { pools: { default: { policy: 'balance' } }, rebalance })
  return cluster
}

function setPolicy(cluster: ModelCluster, change: PolicyChange) {
  const operation = `policy-${cluster.state.index}`
  cluster.must({ type: 'PolicyChanged', atMs: cluster.nowMs, operation, change })
}

const load = { cpuMilli: 500, memoryBytes: 64 << 20 }
function measured(cluster: ModelCluster): Observed {
  return { ...cluster.observed, uses: { of: () => ({ expected: load, memoryBytes: 64 << 20, forMs: 600_000 }) } }
}

function plan(cluster: ModelCluster) {
  const entries = planRebalance({ state: cluster.state, observed: measured(cluster), nowMs: cluster.nowMs, seed: 7 })
  for (const entry of entries) cluster.must(entry)
  return entries
}

const perHost = (cluster: ModelCluster) => {
  const counts: Record<string, number> = { a: 0, b: 0, c: 0 }
  for (const { host } of cluster.state.tables.containers.values()) counts[host] = (counts[host] ?? 0) + 1
  return counts
}
const started = (cluster: ModelCluster) => cluster.entries.filter((entry) => entry.type === 'MoveStarted')

t.test('an uneven cluster is put right, two at a time, each move live and with its reason', async (t) => {
  const cluster = uneven({ mode: 'on', hostCooldownS: 1, stopAt: 0.01 })
  for (let minute = 0; minute < 10; minute += 1) {
    plan(cluster)
    cluster.settle()
    cluster.pass(60_000)
  }
  t.strictSame(perHost(cluster), { a: 2, b: 2, c: 2 })
  t.equal(started(cluster).length, 4)
  for (const { mode, reason } of started(cluster)) {
    t.equal(mode, 'live')
    t.match(reason, /^IMBALANCE: a is used to \d+ %, [bc] to \d+ %; with web-\d moved it is/)
  }
  const records = [...cluster.state.tables.rebalances.values()].sort((left, right) => left.index - right.index)
  t.match(records[0], { trigger: 'auto', operation: String, active: true, plan: { verdict: 'PLANNED' } })
  t.ok(records[0]!.plan.moves.length <= 2)
  t.match(records.at(-1), { operation: null, active: false, plan: { verdict: 'BALANCED', moves: [] } })
  t.strictSame(plan(cluster), [], 'and then nothing is said any more')
  const messages = cluster.events.filter(({ kind }) => kind === 'migration.planned').map(({ message }) => message)
  t.match(messages.at(-1), /IMBALANCE: a is used/)
})

t.test('what a move costs is reckoned from what was measured of the container', async (t) => {
  const cluster = uneven({ mode: 'on', minGain: 0.3 })
  const [host] = cluster.hosts.values()
  const measure = (diskBytes: number, dirtyBytesPerS: number) => {
    for (const [id, seen] of host!.containers) host!.containers.set(id, { ...seen, diskBytes, dirtyBytesPerS })
    cluster.pass(1000)
    return rebalancePlan(cluster.state, measured(cluster), cluster.nowMs, 'manual').view
  }
  const [light] = measure(0, 0).moves
  const [heavy] = measure(2 ** 30, 2 ** 20).moves
  t.equal(light?.bytes, 64 << 20)
  t.match(heavy, { dirtyBytesPerS: 2 ** 20 })
  t.ok(heavy!.bytes > 2 ** 30 + (64 << 20), 'the writable layer, and what is written to it meanwhile, is sent too')
  t.ok(heavy!.blackoutMs > light!.blackoutMs + 50, 'and that lengthens the blackout')
  const held = measure(2 ** 36, 2 ** 27)
  t.match(held, { moves: [], verdict: 'NOTHING_WORTHWHILE' }, 'a disk that costs more than it gains stays')
  measure(2 ** 30, 2 ** 20)
  plan(cluster)
  cluster.settle()
  const why = started(cluster)[0]?.reason
  t.match(why, /; about \d+ ms of blackout, 1[01]\d\d(\.\d)? MiB to send, 1 MiB\/s written meanwhile$/)
})

t.test('off says nothing; a dry run is kept and moves nobody, and the same one is kept once', async (t) => {
  const cluster = uneven({ mode: 'off' })
  t.strictSame(plan(cluster), [])
  setPolicy(cluster, { rebalance: { mode: 'dry-run' } })
  t.equal(plan(cluster).length, 1)
  t.strictSame(plan(cluster), [])
  cluster.settle()
  t.equal(started(cluster).length, 0)
  t.match([...cluster.state.tables.rebalances.values()], [{ operation: null, plan: { verdict: 'PLANNED' } }])
})

t.test('quiet hours hold it back by name, an empty budget too; by hand neither counts', async (t) => {
  const cluster = uneven({ mode: 'on', quietHours: [{ fromMinute: 0, toMinute: 1439 }] })
  t.match(plan(cluster), [{ operation: null, plan: { verdict: 'HELD', held: [{ why: 'QUIET_HOURS' }] } }])
  setPolicy(cluster, { rebalance: { quietHours: [], movesPerHour: 0 } })
  const { view } = rebalancePlan(cluster.state, measured(cluster), cluster.nowMs, 'auto')
  t.match(view, { verdict: 'HELD', held: [{ why: 'BUDGET_SPENT' }] })
  t.equal(rebalancePlan(cluster.state, measured(cluster), cluster.nowMs, 'manual').view.moves.length, 3)
})

t.test('a new leader is bound by the moves of the old one', async (t) => {
  const cluster = uneven({ mode: 'on', movesPerHour: 2, hostCooldownS: 0 })
  plan(cluster)
  cluster.settle()
  t.equal(started(cluster).length, 2)
  cluster.state = decodeSnapshot(encodeSnapshot(cluster.state))
  cluster.changeLeader()
  cluster.pass(120_000)
  const { view } = rebalancePlan(cluster.state, measured(cluster), cluster.nowMs, 'auto')
  t.match(view, { moves: [], held: [{ why: 'BUDGET_SPENT' }], verdict: 'HELD' })
  cluster.pass(3_600_000)
  t.ok(rebalancePlan(cluster.state, measured(cluster), cluster.nowMs, 'auto').view.moves.length > 0)
})

t.test('a leader that has just begun to listen waits until it has measured', async (t) => {
  const cluster = uneven()
  cluster.changeLeader()
  cluster.pass(1000)
  t.strictSame(plan(cluster), [])
})

t.test('who froze for want of memory goes at once, in quiet hours as well', async (t) => {
  const cluster = uneven({ mode: 'on', quietHours: [{ fromMinute: 0, toMinute: 1439 }] })
  const observed = measured(cluster)
  const received = observed.reports.get('a')!
  const pressure = { memoryUsedBytes: capacity.memoryBytes, frozen: [cluster.container('web-3').id] }
  const reports = new Map(observed.reports).set('a', { ...received, report: { ...received.report, pressure } })
  const { view } = rebalancePlan(cluster.state, { ...observed, reports }, cluster.nowMs, 'auto')
  t.match(view.moves[0], { container: 'web-3', from: 'a', reason: 'OOM_FROZEN', urgent: true })
  t.match(view.held[0], { why: /QUIET_HOURS|BUDGET_SPENT/ })
})

t.test('who stands still at its limit goes first from a host that is short of memory, and from no other', async (t) => {
  const cluster = uneven({ mode: 'on', quietHours: [{ fromMinute: 0, toMinute: 1439 }] })
  const observed = measured(cluster)
  const received = observed.reports.get('a')!
  const stands = cluster.container('web-3').id
  const containers = received.report.containers.map((seen) =>
    seen.container === stands
      ? { ...seen, memory: { nearLimit: true, frozenAtLimit: true, oomKills: 0, killed: null } }
      : seen,
  )
  const urgent = (share: number) => {
    const pressure = { memoryUsedBytes: share * capacity.memoryBytes, frozen: [] }
    const report = { ...received.report, containers, pressure }
    const reports = new Map(observed.reports).set('a', { ...received, report })
    const { view } = rebalancePlan(cluster.state, { ...observed, reports }, cluster.nowMs, 'auto')
    return view.moves.filter((move) => move.urgent)
  }
  t.match(urgent(0.95)[0], { container: 'web-3', from: 'a', reason: 'OOM_FROZEN' })
  t.strictSame(urgent(0.6), [])
})

t.test('a group that has drifted is put right; who is to stay is left alone', async (t) => {
  const cluster = new ModelCluster(['a', 'b', 'c'].map((name) => ({ name, capacity })))
  const group = { name: 'db', kind: 'spread', strict: true, topology: 'host' } as const
  cluster.launch('db-1', 'a', 'l1', { scheduling: { group, leave: 'stay' } })
  cluster.launch('db-2', 'a', 'l2', { scheduling: { group } })
  cluster.settle()
  cluster.pass(120_000)
  setPolicy(cluster, { rebalance: { mode: 'on' } })
  plan(cluster)
  cluster.settle()
  t.equal(cluster.container('db-1').host, 'a')
  t.not(cluster.container('db-2').host, 'a')
  t.match(started(cluster)[0]!.reason, /^GROUP_DRIFT: /)
})

t.test('a move that fails is not tried again at once, and the operation says why', async (t) => {
  const cluster = uneven({ mode: 'on', hostCooldownS: 0, maxConcurrent: 1 })
  for (const host of ['b', 'c']) cluster.hosts.get(host)!.failures.add('destination preparing')
  const [entry] = plan(cluster)
  cluster.settle()
  const id = entry?.type === 'RebalancePlanned' ? entry.operation! : ''
  t.match(cluster.operation(id), {
    state: 'failed',
    error: { message: /0 of 1 moved; not: web-\d .*preparing failed/ },
  })
  const failed = started(cluster)[0]!.container
  const { view } = rebalancePlan(cluster.state, measured(cluster), cluster.nowMs, 'auto')
  t.ok(view.moves.every(({ container }) => container !== failed))
})

// Emptying a host.

import t from 'tap'
import { ModelCluster } from './support/model-cluster.ts'

const names = (count: number) => Array.from({ length: count }, (_, index) => `web-${index + 1}`)

function fullCluster(count: number) {
  const cluster = new ModelCluster([{ name: 'a' }, { name: 'b' }, { name: 'c' }])
  for (const name of names(count)) cluster.launch(name, 'a')
  cluster.settle()
  return cluster
}

const evacuate = (cluster: ModelCluster, parallel = 4) =>
  cluster.must({ type: 'EvacuationStarted', atMs: cluster.nowMs, operation: 'empty', host: 'a', parallel })

t.test('all containers go, at most so many at once, none restarted', async (t) => {
  const cluster = fullCluster(12)
  evacuate(cluster, 3)
  let most = 0
  cluster.until('ended', () => {
    most = Math.max(most, [...cluster.state.running].filter((id) => cluster.operation(id).kind === 'move').length)
    return cluster.operation('empty').state !== 'running'
  })
  cluster.settle()
  t.equal(most, 3)
  t.match(cluster.operation('empty'), { state: 'done', progress: { done: 12, total: 12 } })
  for (const name of names(12)) {
    t.match(cluster.container(name), { state: 'running', starts: 1, epoch: 2 })
    t.not(cluster.container(name).host, 'a')
    t.strictSame(cluster.executing(name), [cluster.container(name).host])
  }
  t.equal(cluster.state.tables.hosts.get('a')!.cordoned, true)
})

t.test('the whole plan is committed before the first move', async (t) => {
  const cluster = fullCluster(5)
  evacuate(cluster)
  cluster.settle()
  const planned = cluster.entries.findIndex(({ type }) => type === 'EvacuationPlanned')
  const first = cluster.entries.findIndex(({ type }) => type === 'MoveStarted')
  t.ok(planned >= 0 && planned < first)
  t.equal((cluster.operation('empty').parameters.plan as unknown[]).length, 5)
})

for (const slow of [false, true]) {
  t.test(
    `its moves pre-copy without word; ${slow ? 'what lasts' : 'what is soon done'} is ${slow ? 'told' : 'no phase'}`,
    (t) => {
      const cluster = fullCluster(2)
      cluster.wire.slow = slow
      evacuate(cluster)
      cluster.settle()
      const told = cluster.events.filter(({ kind, target }) => kind.startsWith('migration.') && target === 'web-1')
      const phases = told.map(({ kind }) => kind.split('.')[1])
      t.strictSame(phases, ['planned', 'preparing', ...(slow ? ['precopying'] : []), 'switching', 'committed'])
      t.match(cluster.operation('empty'), { state: 'done', progress: { done: 2, total: 2 } })
      t.match(cluster.container('web-1'), { state: 'running', starts: 1, epoch: 2 })
      t.end()
    },
  )
}

t.test('a move that waits for word doesn’t switch before its pre-copy was asked for', (t) => {
  const cluster = fullCluster(1)
  cluster.move('web-1', 'b')
  cluster.until('preparing', () => cluster.operation('move-web-1').phase === 'preparing')
  const skipped = cluster.propose({
    type: 'MigrationAdvanced',
    atMs: cluster.nowMs,
    operation: 'move-web-1',
    phase: 'switching',
    figures: {},
  })
  t.match(skipped, { ok: false, error: { error: { code: 'WRONG_STATE' } } })
  cluster.settle()
  t.match(cluster.operation('move-web-1'), { state: 'done' })
  t.end()
})

t.test('a container whose move fails is tried on another host', async (t) => {
  const cluster = fullCluster(1)
  for (const phase of ['preparing', 'precopying', 'switching'])
    cluster.hosts.get('b')!.failures.add(`destination ${phase}`)
  evacuate(cluster)
  cluster.settle()
  t.match(cluster.operation('empty'), { state: 'done' })
  t.equal(cluster.container('web-1').host, 'c')
})

t.test('one that can’t go stays, runs on, and is named with the reason', async (t) => {
  const cluster = fullCluster(2)
  cluster.must({
    type: 'PowerRequested',
    atMs: 0,
    operation: 'freeze',
    kind: 'freeze',
    container: 'web-2',
    stopTimeoutMs: null,
  })
  cluster.settle()
  for (const host of ['b', 'c']) cluster.hosts.get(host)!.failures.add('destination preparing')
  evacuate(cluster)
  cluster.settle()
  const { state, error, progress } = cluster.operation('empty')
  t.equal(state, 'failed')
  t.match(error!.message, /web-1 \(.*destination preparing failed.*web-2 \(.*destination preparing failed/)
  t.match(progress, { done: 0, total: 2 })
  t.strictSame(cluster.executing('web-1'), ['a'])
  const moves = [...cluster.state.tables.operations.values()].filter(({ kind }) => kind === 'move')
  t.strictSame(
    moves.map(({ target, migration }) => `${target} ${migration?.mode}`).sort(),
    ['live', 'live', 'live', 'frozen', 'frozen', 'frozen'].map((mode) => `web-${mode === 'live' ? 1 : 2} ${mode}`),
    'three tries of each, as it stands',
  )
})

t.test('no capacity anywhere: it fails at once, and nothing moved', async (t) => {
  const tiny = { cpuMilli: 150, memoryBytes: 2 ** 40, diskBytes: 0, pids: 10_000 }
  const cluster = new ModelCluster([{ name: 'a' }, { name: 'b', capacity: tiny }])
  for (const name of names(3)) cluster.launch(name, 'a')
  cluster.settle()
  evacuate(cluster)
  cluster.settle()
  t.match(cluster.operation('empty'), {
    state: 'failed',
    error: { code: 'NO_CAPACITY' },
    progress: { done: 1, total: 3 },
  })
})

t.test('cancelled: moves under way end, no new ones begin', async (t) => {
  const cluster = fullCluster(8)
  evacuate(cluster, 2)
  cluster.until('two moves', () => cluster.state.running.size === 3)
  cluster.must({ type: 'CancelRequested', atMs: cluster.nowMs, operation: 'empty' })
  cluster.settle()
  t.match(cluster.operation('empty'), { state: 'cancelled', error: { code: 'CANCELLED' } })
  const gone = names(8).filter((name) => cluster.container(name).host !== 'a')
  t.equal(gone.length, 2)
  for (const name of names(8)) t.strictSame(cluster.executing(name), [cluster.container(name).host])
})

t.test('a container that arrives by an earlier move is moved on', async (t) => {
  const cluster = fullCluster(1)
  cluster.launch('late', 'b')
  cluster.settle()
  cluster.move('late', 'a')
  cluster.until('switching', () => cluster.operation('move-late').phase === 'switching')
  evacuate(cluster)
  cluster.settle()
  t.match(cluster.operation('empty'), { state: 'done' })
  t.not(cluster.container('late').host, 'a')
})

t.test('leaders change all the time: the evacuation ends all the same', async (t) => {
  const cluster = fullCluster(6)
  evacuate(cluster, 2)
  for (let round = 0; round < 300 && cluster.operation('empty').state === 'running'; round += 1) {
    if (round % 2 === 0) {
      cluster.changeLeader()
      cluster.plan()
    }
    cluster.round()
  }
  t.match(cluster.operation('empty'), { state: 'done' })
  for (const name of names(6)) t.match(cluster.container(name), { state: 'running', starts: 1 })
})

t.test('cordon and restore; an evacuation under way is in the way of opening', async (t) => {
  const cluster = fullCluster(2)
  evacuate(cluster)
  const restore = { type: 'HostCordonRequested', atMs: 0, operation: 'open', kind: 'restore', host: 'a' } as const
  t.match(cluster.propose(restore), { ok: false, error: { error: { code: 'BUSY' } } })
  cluster.settle()
  t.match(cluster.must(restore), { state: 'done', kind: 'restore' })
  t.equal(cluster.state.tables.hosts.get('a')!.cordoned, false)
})

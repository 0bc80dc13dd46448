// Lost hosts: what is started elsewhere and when, what waits and says why, and that nothing ever runs twice.

import { leaseMs } from '@drover/protocol'
import t from 'tap'
import { completeBatch } from '../src/core/assignments.ts'
import { containerView, hostNamed } from '../src/core/views.ts'
import { LeaseTable } from '../src/shell/lease-table.ts'
import { ModelCluster } from './support/model-cluster.ts'

const fresh = { scheduling: { heal: 'fresh' as const } }
const three = () => new ModelCluster([{ name: 'a' }, { name: 'b' }, { name: 'c' }])

/** Time goes by second by second, hosts pull every five, and after each step it is checked that nothing runs twice. */
function live(cluster: ModelCluster, seconds: number): void {
  for (let second = 0; second < seconds; second += 1) {
    cluster.pass(1000)
    if (second % 5 === 0) cluster.pull()
    cluster.round()
    cluster.check()
  }
}

const messageOf = (cluster: ModelCluster, name: string) => containerView(cluster.state, cluster.container(name)).message

t.test('healing: a lost host’s containers begin again elsewhere once it is certain that they don’t run there', (t) => {
  const cluster = three()
  cluster.launch('web', 'a', 'launch-web', fresh)
  cluster.settle()
  live(cluster, 2)
  cluster.cutOff.add('a')
  live(cluster, leaseMs / 1000 + 2)
  t.equal(cluster.container('web').host, 'a', 'not before it is lost')
  t.strictSame(cluster.executing('web'), [], 'and it stands still where nobody hears it')
  live(cluster, 60)
  t.not(cluster.container('web').host, 'a')
  t.equal(cluster.container('web').epoch, 2)
  t.equal(cluster.container('web').state, 'running')
  t.equal(cluster.executing('web').length, 1)
  t.match(cluster.operation('heal-c1-1'), { kind: 'heal', state: 'done' })
  t.equal(hostNamed(cluster.state, cluster.observed, cluster.nowMs, 'a').status, 'lost')
  t.ok(cluster.events.some(({ kind, message }) => kind === 'container.healed' && message.includes('host a is lost')))

  cluster.cutOff.delete('a')
  live(cluster, 10)
  t.notOk(cluster.holding('web').includes('a'), 'back again, it removes the stale copy')
  t.equal(cluster.state.tables.losses.size, 0)
  t.equal(cluster.executing('web').length, 1)
  t.end()
})

t.test('healing: a container that isn’t told to begin anew waits for its host and its disk, and says so', (t) => {
  const cluster = three()
  cluster.launch('db', 'a')
  cluster.settle()
  cluster.cutOff.add('a')
  live(cluster, 120)
  t.equal(cluster.container('db').host, 'a')
  t.equal(containerView(cluster.state, cluster.container('db')).state, 'unknown')
  t.match(messageOf(cluster, 'db'), /waits for host a, which has its disk/)
  t.strictSame(cluster.executing('db'), ['a'], 'its own side of the cut is not touched')
  cluster.cutOff.delete('a')
  live(cluster, 10)
  t.equal(cluster.container('db').state, 'running')
  t.end()
})

t.test(
  'healing: what was preempted on a lost host and may begin anew does so, and is not moved from a silent one',
  (t) => {
    const cluster = three()
    cluster.launch('web', 'a', 'launch-web', { scheduling: { ...fresh.scheduling, preemptible: true } })
    cluster.settle()
    const { id, spec } = cluster.container('web')
    const stop = { container: id, name: 'web', from: 'a', destination: null, how: 'preempt', reason: 'room' } as const
    const placement = { chosen: 'a', reason: 'room', hosts: [] }
    const network = { machineId: '1'.repeat(32), network: '10.77.0.0/16', gateway: null }
    const urgent = { name: 'urgent', spec: { ...spec, scheduling: { priority: 5 } }, host: 'a', placement, ...network }
    const facts = { atMs: cluster.nowMs, operation: 'op-urgent', parallel: 1 }
    cluster.must({ type: 'RoomPlanned', ...facts, moves: [stop], launch: urgent })
    const child = { operation: `op-urgent-${id}-1`, container: 'web', parent: 'op-urgent' }
    cluster.must({ type: 'PreemptionRequested', atMs: cluster.nowMs, ...child })
    cluster.settle()
    t.match(cluster.container('web'), { host: 'a', state: 'stopped', preempted: { by: 'urgent' } })
    cluster.cutOff.add('a')
    live(cluster, 120)
    t.not(cluster.container('web').host, 'a')
    t.match(cluster.container('web'), { state: 'running', desired: 'running', epoch: 2, preempted: undefined })
    t.equal(cluster.executing('web').length, 1)
    t.notOk([...cluster.state.tables.operations.values()].some(({ kind }) => kind === 'move'))
    cluster.cutOff.delete('a')
    live(cluster, 10)
    t.notOk(cluster.holding('web').includes('a'), 'back again, its host removes the stale copy')
    t.end()
  },
)

t.test('healing: a host that comes back before it is lost goes on where it stood', (t) => {
  const cluster = three()
  cluster.launch('web', 'a', 'launch-web', fresh)
  cluster.settle()
  live(cluster, 2)
  cluster.cutOff.add('a')
  live(cluster, 30)
  t.strictSame(cluster.executing('web'), [])
  cluster.cutOff.delete('a')
  live(cluster, 10)
  t.strictSame(cluster.executing('web'), ['a'])
  t.equal(cluster.container('web').epoch, 1)
  t.end()
})

t.test(
  'healing: a container whose host never confirmed the lease isn’t started elsewhere, but by somebody who is sure',
  (t) => {
    const cluster = three()
    cluster.launch('db', 'a')
    cluster.settle()
    cluster.cutOff.add('a')
    live(cluster, 70)
    t.ok(cluster.state.tables.losses.has('a'))
    const lost = { type: 'HostLost', atMs: cluster.nowMs, host: 'a', sure: true } as const
    cluster.hosts.delete('a')
    cluster.must({ ...lost, operation: 'op-1' })
    live(cluster, 5)
    t.equal(cluster.container('db').host, 'a', 'being sure that it is dead doesn’t bring back its disk')
    cluster.must({ ...lost, operation: 'op-2', fresh: true })
    live(cluster, 5)
    t.not(cluster.container('db').host, 'a')
    t.equal(cluster.container('db').state, 'running')
    t.end()
  },
)

t.test('healing: nobody can declare a host lost that is heard', (t) => {
  const cluster = three()
  const outcome = cluster.propose({ type: 'HostLost', atMs: cluster.nowMs, host: 'a', sure: true, operation: 'op' })
  t.match(outcome, { ok: false, error: { error: { code: 'WRONG_STATE' } } })
  t.end()
})

t.test('healing: while most hosts are silent none is lost', (t) => {
  const cluster = three()
  cluster.launch('web', 'a', 'launch-web', fresh)
  cluster.settle()
  live(cluster, 2)
  for (const host of ['a', 'b']) cluster.cutOff.add(host)
  live(cluster, 200)
  t.equal(cluster.state.tables.losses.size, 0)
  t.equal(cluster.container('web').host, 'a')
  cluster.cutOff.delete('b')
  live(cluster, 10)
  t.not(cluster.container('web').host, 'a')
  t.end()
})

t.test('healing: a new leader counts from when it leads', (t) => {
  const cluster = three()
  cluster.launch('web', 'a', 'launch-web', fresh)
  cluster.settle()
  live(cluster, 2)
  cluster.cutOff.add('a')
  live(cluster, 50)
  cluster.changeLeader()
  live(cluster, 50)
  t.equal(cluster.container('web').host, 'a')
  live(cluster, 30)
  t.not(cluster.container('web').host, 'a')
  t.end()
})

t.test('healing: evacuating a dead host waits until it is lost, heals, and names who stays', (t) => {
  const cluster = three()
  cluster.launch('web', 'a', 'launch-web', fresh)
  cluster.launch('db', 'a')
  cluster.settle()
  live(cluster, 2)
  cluster.must({
    type: 'PolicyChanged',
    atMs: cluster.nowMs,
    operation: 'op-policy',
    change: { healing: { mode: 'off' } },
  })
  cluster.cutOff.add('a')
  live(cluster, 90)
  t.equal(cluster.container('web').host, 'a', 'healing is off')
  cluster.must({ type: 'EvacuationStarted', atMs: cluster.nowMs, operation: 'op', host: 'a', parallel: 4 })
  live(cluster, 20)
  t.not(cluster.container('web').host, 'a')
  const ended = cluster.operation('op')
  t.match(ended, { state: 'failed', error: { code: 'HOST_UNREACHABLE' } })
  t.match(ended.error?.message, /1 of 2 containers run elsewhere; not: db \(it waits for host a/)
  t.end()
})

t.test('healing: a host that dies while it is emptied is emptied by healing, in the same operation', (t) => {
  const cluster = three()
  const names = ['web-1', 'web-2', 'web-3']
  for (const name of names) cluster.launch(name, 'a', `l-${name}`, fresh)
  cluster.launch('db', 'a', 'l-db', { scheduling: { priority: -1 } })
  cluster.settle()
  live(cluster, 2)
  const evacuation = { type: 'EvacuationStarted', operation: 'empty-a', host: 'a', parallel: 1 } as const
  cluster.must({ ...evacuation, atMs: cluster.nowMs })
  cluster.until('one has moved and another moves', () => {
    const moved = names.filter((name) => cluster.container(name).host !== 'a').length
    return moved === 1 && names.some((name) => cluster.container(name).state === 'migrating')
  })
  cluster.hosts.delete('a')
  live(cluster, 180)
  const operation = cluster.operation('empty-a')
  t.match(operation, { state: 'failed', error: { code: 'HOST_UNREACHABLE', message: /not: db \(it waits for host a/ } })
  for (const name of names) {
    t.match(cluster.container(name), { state: 'running' }, name)
    t.equal(cluster.executing(name).length, 1, `${name} runs once`)
    t.not(cluster.container(name).host, 'a')
  }
  t.equal(cluster.container('db').host, 'a')
  t.end()
})

t.test('healing: evacuating a silent host waits for it to be lost', (t) => {
  const cluster = three()
  cluster.launch('web', 'a', 'launch-web', fresh)
  cluster.settle()
  live(cluster, 2)
  cluster.cutOff.add('a')
  live(cluster, 8)
  cluster.must({ type: 'EvacuationStarted', atMs: cluster.nowMs, operation: 'op', host: 'a', parallel: 4 })
  live(cluster, 10)
  t.match(cluster.operation('op'), { state: 'running', phase: 'waiting' })
  live(cluster, 70)
  t.match(cluster.operation('op'), { state: 'done' })
  t.equal(cluster.executing('web').length, 1)
  t.end()
})

t.test('healing: in random cuts and changes of leaders nothing ever runs twice, and all run in the end', (t) => {
  for (let seed = 1; seed <= 40; seed += 1) {
    let state = seed * 7919
    const random = (below: number) => {
      state = (state * 1103515245 + 12345) % 2 ** 31
      return Math.floor((state / 2 ** 31) * below)
    }
    const cluster = new ModelCluster([{ name: 'a' }, { name: 'b' }, { name: 'c' }, { name: 'd' }])
    const names = ['w1', 'w2', 'w3', 'w4', 'w5']
    for (const [index, name] of names.entries()) cluster.launch(name, 'abcd'[index % 4]!, `launch-${name}`, fresh)
    cluster.settle()
    for (let step = 0; step < 20; step += 1) {
      const host = 'abcd'[random(4)]!
      if (cluster.cutOff.has(host)) cluster.cutOff.delete(host)
      else if (cluster.cutOff.size < 2) cluster.cutOff.add(host)
      if (random(10) === 0) cluster.changeLeader()
      live(cluster, 1 + random(90))
    }
    cluster.cutOff.clear()
    live(cluster, 90)
    for (const name of names) {
      if (cluster.executing(name).length !== 1) t.fail(`seed ${seed}: ${name} runs on ${cluster.executing(name)}`)
      if (cluster.holding(name).length !== 1) t.fail(`seed ${seed}: ${name} is left on ${cluster.holding(name)}`)
    }
  }
  t.pass()
  t.end()
})

t.test('healing: what a leader couldn’t have answered doesn’t count', (t) => {
  let nowMs = 0
  const table = new LeaseTable(() => nowMs)
  const pass = (ms: number) => {
    for (let left = ms; left > 0; left -= 250) {
      nowMs += 250
      table.tick()
    }
  }
  t.equal(table.unansweredMs('a'), null, 'not leading')
  table.listening(true)
  pass(40_000)
  t.equal(table.unansweredMs('a'), 40_000)
  table.asked('a')
  pass(5_000)
  t.equal(table.unansweredMs('a'), 5_000)
  pass(30_000)
  nowMs += 60_000
  table.tick()
  t.equal(table.unansweredMs('a'), 0, 'this process stood still')
  table.listening(false)
  t.equal(table.unansweredMs('a'), null, 'the bus is away')
  t.end()
})

t.test('healing: the image of what may begin anew is kept on a second host; while nobody has it, that is said', (t) => {
  const cluster = new ModelCluster([{ name: 'a' }, { name: 'b', images: [] }, { name: 'c', images: [] }])
  cluster.launch('web', 'a', 'launch-web', fresh)
  cluster.settle()
  const kept = (host: string) => completeBatch(cluster.state, host, 1).keepImages?.map(({ digest }) => digest)
  t.strictSame([kept('a'), kept('b'), kept('c')], [undefined, ['sha256:1'], undefined])
  live(cluster, 2)
  cluster.cutOff.add('a')
  live(cluster, 70)
  t.equal(cluster.container('web').host, 'a')
  t.match(messageOf(cluster, 'web'), /its image busybox is only on hosts that are silent/)
  cluster.hosts.get('b')!.images.push('sha256:1')
  live(cluster, 5)
  t.equal(cluster.executing('web').length, 1)
  t.end()
})

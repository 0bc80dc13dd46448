// Making room by stopping: only less important containers that may be stopped, only when no moves are enough. They free what they asked for,
// and start again by themselves when there is room, on their host or, by a cold move, on another.

import type { ContainerExplanation, LaunchExplanation, Operation } from '@drover/protocol'
import t from 'tap'
import { loads } from '../src/core/capacity.ts'
import type { EntryOf, PlannedMove } from '../src/core/entries.ts'
import { containerView } from '../src/core/views.ts'
import { apiFixture } from './support/api-fixture.ts'
import { ModelCluster } from './support/model-cluster.ts'

const GiB = 2 ** 30
const capacity = { cpuMilli: 64_000, memoryBytes: 4 * GiB, diskBytes: 2 ** 40, pids: 100_000 }
const asking = (gib: number, scheduling: object = {}) => ({
  requests: { cpuMilli: 100, memoryBytes: gib * GiB, diskBytes: GiB, pids: 10 },
  scheduling,
})
const spot = { preemptible: true }

/** a and b are full: one, two (2 GiB each, preemptible) on a, three (4 GiB, not) on b. */
function full(): ModelCluster {
  const cluster = new ModelCluster([
    { name: 'a', capacity },
    { name: 'b', capacity },
  ])
  cluster.launch('one', 'a', 'launch-one', asking(2, spot))
  cluster.launch('two', 'a', 'launch-two', asking(2, { ...spot, priority: 1 }))
  cluster.launch('three', 'b', 'launch-three', asking(4))
  cluster.settle()
  return cluster
}

function planned(cluster: ModelCluster, stopped: string[], priority = 10, gib = 2): EntryOf<'RoomPlanned'> {
  const moves = stopped.map((name): PlannedMove => {
    const reason = 'makes room for big on a: priority 10 over 0'
    const facts = { container: cluster.container(name).id, name, from: 'a', destination: null }
    return { ...facts, how: 'preempt', reason, makesRoomFor: 'big' }
  })
  return {
    type: 'RoomPlanned',
    atMs: cluster.nowMs,
    operation: 'op-big',
    parallel: 8,
    moves,
    launch: {
      name: 'big',
      spec: { ...cluster.container('one').spec, ...asking(gib, { priority }) },
      host: 'a',
      placement: { chosen: 'a', reason: `big fits on a once ${stopped.join()} is stopped`, hosts: [] },
      machineId: '1'.repeat(32),
      network: '10.77.0.0/16',
      gateway: null,
    },
  }
}

function remove(cluster: ModelCluster, name: string): void {
  cluster.must(power(cluster, 'delete', name))
  cluster.settle()
}

const power = (cluster: ModelCluster, kind: 'delete' | 'start' | 'stop', container: string) =>
  ({
    type: 'PowerRequested',
    atMs: cluster.nowMs,
    operation: `${kind}-${container}-${cluster.state.index}`,
    kind,
    container,
    stopTimeoutMs: null,
  }) as const

/** Time passes in small steps, and everybody acts. */
function wait(cluster: ModelCluster, ms: number): void {
  for (let passed = 0; passed < ms; passed += 1_000) {
    cluster.pass(1_000)
    cluster.settle()
  }
}

t.test('preemption: who is stopped shuts down, frees its room, and says for whom', (t) => {
  const cluster = full()
  cluster.must(planned(cluster, ['one']))
  cluster.settle()
  t.match(cluster.operation('op-big'), { kind: 'launch', state: 'done' })
  t.match(cluster.operation('op-big-c1-1'), { kind: 'preempt', state: 'done', parent: 'op-big' })
  t.strictSame(cluster.executing('big'), ['a'])
  t.strictSame(cluster.executing('one'), [])
  const one = cluster.container('one')
  t.match(one, { state: 'stopped', desired: 'stopped', preempted: { by: 'big', priority: 10, resumes: true } })
  t.match(containerView(cluster.state, one).message, /^preempted by big \(priority 10\); it starts again/)
  t.notOk('preemptions' in containerView(cluster.state, one))
  const { requested } = loads(cluster.state).get('a')!
  t.equal(requested.memoryBytes, 4 * GiB, 'its memory is big’s')
  t.equal(requested.diskBytes, 3 * GiB, 'its disk is still its own')
  for (const kind of ['room.planned', 'container.preempting', 'container.preempted']) {
    t.ok(
      cluster.events.some((event) => event.kind === kind),
      kind,
    )
  }
  t.end()
})

t.test('preemption: it starts again by itself when there is room, and only then', (t) => {
  const cluster = full()
  cluster.must(planned(cluster, ['one']))
  wait(cluster, 60_000)
  t.strictSame(cluster.executing('one'), [], 'no room yet')
  remove(cluster, 'big')
  wait(cluster, 2_000)
  t.strictSame(cluster.executing('one'), ['a'])
  t.match(cluster.container('one'), { state: 'running', preempted: undefined, starts: 2, stopTimeoutMs: null })
  t.ok(cluster.events.some(({ kind }) => kind === 'container.resuming'))
  t.end()
})

t.test('preemption: it rests before it starts again, the longer the oftener it was stopped', (t) => {
  const cluster = full()
  const rests: number[] = []
  for (let round = 1; round <= 3; round += 1) {
    cluster.must({ ...planned(cluster, ['one']), operation: `op-${round}` })
    cluster.settle()
    const { preempted } = cluster.container('one')
    rests.push(preempted!.notBeforeMs - preempted!.atMs)
    remove(cluster, 'big')
    t.strictSame(cluster.executing('one'), [], 'not at once')
    wait(cluster, rests.at(-1)! + 1_000)
    t.strictSame(cluster.executing('one'), ['a'])
  }
  t.strictSame(rests, [10_000, 20_000, 40_000])
  t.end()
})

t.test('preemption: the most important of those that wait is first', (t) => {
  const cluster = full()
  cluster.must(planned(cluster, ['one', 'two'], 10, 4))
  cluster.settle()
  t.match(cluster.operation('op-big'), { state: 'done' })
  remove(cluster, 'big')
  cluster.launch('half', 'a', 'launch-half', asking(2))
  wait(cluster, 12_000)
  t.strictSame([cluster.executing('one'), cluster.executing('two')], [[], ['a']])
  t.end()
})

t.test('preemption: room on another host is reached by a cold move, after a while', (t) => {
  const cluster = full()
  cluster.must(planned(cluster, ['one']))
  cluster.settle()
  remove(cluster, 'three')
  wait(cluster, 20_000)
  t.equal(cluster.container('one').host, 'a', 'room where its disk is costs nothing to wait for')
  wait(cluster, 20_000)
  t.match(cluster.container('one'), { host: 'b', state: 'running', preempted: undefined })
  const moves = [...cluster.state.tables.operations.values()].filter(({ kind }) => kind === 'move')
  t.match(moves, [{ state: 'done', migration: { mode: 'cold' }, parameters: { reason: /was preempted on a by big/ } }])
  t.equal(loads(cluster.state).get('b')!.requested.memoryBytes, 2 * GiB, 'it asks for all of it there')
  t.end()
})

t.test('preemption: who is to stay, waits where it is', (t) => {
  const cluster = full()
  cluster.must({
    type: 'SetRequested',
    atMs: cluster.nowMs,
    operation: 'set-one',
    container: 'one',
    change: { scheduling: { leave: 'stay' } },
  })
  cluster.settle()
  cluster.must(planned(cluster, ['one']))
  cluster.settle()
  remove(cluster, 'three')
  wait(cluster, 60_000)
  t.match(cluster.container('one'), { host: 'a', state: 'stopped' })
  t.end()
})

t.test('preemption: a failed way back is tried again, after longer and longer', (t) => {
  const cluster = full()
  cluster.must(planned(cluster, ['one']))
  cluster.settle()
  cluster.hosts.get('a')!.failures.add('source switching')
  remove(cluster, 'three')
  wait(cluster, 150_000)
  const moves = [...cluster.state.tables.operations.values()].filter(({ kind }) => kind === 'move')
  t.ok(moves.length >= 3 && moves.length <= 5, `${moves.length} moves were tried`)
  t.match(cluster.container('one'), { host: 'a', state: 'stopped', preempted: { tries: moves.length } })
  cluster.hosts.get('a')!.failures.clear()
  wait(cluster, 200_000)
  t.match(cluster.container('one'), { host: 'b', state: 'running' })
  t.end()
})

t.test('preemption: never an equal, never who may not be stopped, whatever a plan says', (t) => {
  for (const [name, priority, why] of [
    ['two', 1, /is not more important/],
    ['two', 0, /is not more important/],
    ['plain', 10, /may not be stopped/],
  ] as const) {
    const cluster = full()
    if (name === 'plain') {
      remove(cluster, 'one')
      cluster.launch('plain', 'a', 'launch-plain', asking(2))
      cluster.launch('one', 'b', 'launch-one-again', asking(0))
      cluster.settle()
    }
    cluster.must(planned(cluster, [name], priority))
    const { id } = cluster.container(name)
    const outcome = cluster.propose({
      type: 'PreemptionRequested',
      atMs: cluster.nowMs,
      operation: `try-${id}`,
      container: name,
      parent: 'op-big',
    })
    t.notOk(outcome.ok)
    if (!outcome.ok) t.match(outcome.error.error.message, why)
    t.strictSame(cluster.executing(name), ['a'])
  }
  t.end()
})

t.test('preemption: nobody is stopped before all have moved, nor when there is room meanwhile', (t) => {
  const cluster = full()
  const room = planned(cluster, ['one'])
  const aside = { container: cluster.container('two').id, name: 'two', from: 'a', destination: 'b', reason: 'aside' }
  cluster.must({ ...room, moves: [...room.moves, aside] })
  cluster.pass(6_000)
  cluster.settle()
  t.match(cluster.operation('op-big'), { state: 'failed', error: { message: /not: .*two/ } })
  t.strictSame(cluster.executing('one'), ['a'], 'b has no room for two, so one was not stopped in vain')

  const other = full()
  other.must(planned(other, ['one']))
  other.must(power(other, 'delete', 'two'))
  other.hosts.get('a')!.act()
  other.settle()
  t.match(other.operation('op-big'), { state: 'done' })
  t.end()
})

t.test('preemption: whoever cancels the stop keeps it running, and the launch is refused', (t) => {
  const cluster = full()
  cluster.must(planned(cluster, ['one']))
  cluster.plan()
  t.match(cluster.operation('op-big-c1-1'), { kind: 'preempt', state: 'running' })
  cluster.must({ type: 'CancelRequested', atMs: cluster.nowMs, operation: 'op-big-c1-1' })
  cluster.pass(6_000)
  cluster.settle()
  t.match(cluster.operation('op-big'), { state: 'failed', error: { message: /not: one \(.*cancelled/ } })
  t.match(cluster.container('one'), { state: 'running', desired: 'running', preempted: undefined })
  t.strictSame(cluster.executing('one'), ['a'])
  t.end()
})

t.test('preemption: an ephemeral container outlives it, but not its user’s stop', (t) => {
  const cluster = full()
  remove(cluster, 'one')
  cluster.launch('one', 'a', 'launch-one-again', { ...asking(2, spot), lifecycle: { ephemeral: true } })
  cluster.settle()
  cluster.must(planned(cluster, ['one']))
  cluster.settle()
  t.match(cluster.container('one'), { state: 'stopped', deleting: false, preempted: { resumes: true } })
  cluster.must(power(cluster, 'stop', 'one'))
  cluster.settle()
  t.notOk(cluster.state.idsByName.has('one'))
  t.end()
})

t.test('preemption: its user may keep it off, and may start it only where there is room', (t) => {
  const cluster = full()
  cluster.must(planned(cluster, ['one']))
  cluster.settle()
  const refused = cluster.propose(power(cluster, 'start', 'one'))
  t.notOk(refused.ok)
  if (!refused.ok)
    t.match(refused.error.error, { code: 'NO_CAPACITY', message: /preempted by big, .* no room: memory/ })
  t.match(cluster.must(power(cluster, 'stop', 'one')), { kind: 'stop', state: 'done' })
  remove(cluster, 'big')
  wait(cluster, 60_000)
  t.match(cluster.container('one'), { state: 'stopped', preempted: { resumes: false } })
  cluster.must(power(cluster, 'start', 'one'))
  cluster.settle()
  t.match(cluster.container('one'), { state: 'running', preempted: undefined })
  t.end()
})

t.test('preemption: another leader goes on after any step, and nothing runs twice or is forgotten', (t) => {
  for (let steps = 0; steps < 24; steps += 1) {
    const cluster = full()
    cluster.must(planned(cluster, ['one']))
    for (let step = 0; step < steps; step += 1) {
      if (step === 10) cluster.must(power(cluster, 'delete', 'big'))
      if (step > 10) cluster.pass(1_500)
      cluster.round()
    }
    cluster.changeLeader()
    if (cluster.state.idsByName.has('big') && !cluster.container('big').deleting) {
      cluster.settle()
      t.strictSame(
        [cluster.executing('big'), cluster.executing('one')],
        [['a'], []],
        `a new leader after step ${steps}`,
      )
      remove(cluster, 'big')
    } else if (!cluster.state.idsByName.has('big')) cluster.settle()
    if (steps <= 10 && cluster.state.idsByName.has('big')) remove(cluster, 'big')
    wait(cluster, 15_000)
    t.strictSame(cluster.executing('one'), ['a'], `it runs again, with a new leader after step ${steps}`)
  }
  t.end()
})

t.test(
  'preemption: a launch stops the least important that its pool lets be stopped; explain says so before',
  async (t) => {
    const { call, report, context } = await apiFixture(t, [
      { name: 'a', capacity },
      { name: 'b', capacity },
    ])
    const { machine } = context
    const body = (name: string, gib: number, scheduling: object = {}) => ({ name, memoryBytes: gib * GiB, scheduling })
    const launch = (name: string, gib: number, scheduling: object = {}) =>
      call<Operation>('POST', '/v1/containers', { body: body(name, gib, scheduling) })
    await launch('web', 4, { priority: 5 })
    await launch('batch', 2, { priority: -1 })
    await launch('job', 2)
    for (let round = 0; round < 3; round += 1) for (const host of ['a', 'b']) await report(host)
    const { containers } = machine.state.tables
    for (const each of containers.values()) containers.set(each.id, { ...each, state: 'running', operation: null })
    const what = { memoryBytes: 2 * GiB, scheduling: { priority: 3 } }
    const explain = () => call<LaunchExplanation>('POST', '/v1/explain', { body: what })
    t.equal((await explain()).body.room, null, 'nobody may be stopped')
    t.equal((await launch('urgent', 2, { priority: 3 })).status, 409)
    const policy = { body: { pools: { default: { preemptBelow: 1 } } } }
    t.equal((await call('POST', '/v1/policy', policy)).status, 202)
    const { host } = [...containers.values()].find(({ name }) => name === 'batch')!
    t.match((await explain()).body.room, {
      moves: [],
      stops: [{ container: 'batch', host, priority: -1 }],
      reason: /batch \(priority -1\) is stopped/,
    })
    const begun = await launch('urgent', 2, { priority: 3 })
    t.equal(begun.status, 202)
    t.match(begun.body, { phase: 'making-room', progress: { message: /batch \(priority -1\) is stopped/ } })
    t.equal((await launch('second', 2, { priority: 3, preemptible: true })).status, 202, 'job is there for the next')
    t.equal((await launch('third', 2, { priority: 3 })).status, 409, 'nobody less important is left')
    const batch = [...containers.values()].find(({ name }) => name === 'batch')!
    const preempted = { by: 'urgent', priority: 3, atMs: 1, resumes: true, notBeforeMs: 1, tries: 0 }
    containers.set(batch.id, { ...batch, state: 'stopped', preempted })
    const explained = await call<ContainerExplanation>('GET', '/v1/containers/batch/explain')
    t.match(
      explained.body.preempted,
      /^preempted by urgent \(priority 3\); .*: on .: INSUFFICIENT_MEMORY, .*needs 2 GiB/,
    )
  },
)

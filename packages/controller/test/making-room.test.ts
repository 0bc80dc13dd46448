// Launches that fit nowhere as things are: others move live to make room, the launch follows in the same operation, and nobody is stopped.

import type { Operation } from '@drover/protocol'
import t from 'tap'
import { apiFixture } from './support/api-fixture.ts'
import { ModelCluster } from './support/model-cluster.ts'

const GiB = 2 ** 30
const capacity = { cpuMilli: 64_000, memoryBytes: 4 * GiB, diskBytes: 2 ** 40, pids: 100_000 }
const asking = (gib: number) => ({
  requests: { cpuMilli: 100, memoryBytes: gib * GiB, diskBytes: 0, pids: 10 },
})

/** a: 2 of 4 GiB used, b: 3 of 4: a container of 3 GiB fits nowhere until the small one of a has left. */
function crowded(): ModelCluster {
  const cluster = new ModelCluster([
    { name: 'a', capacity },
    { name: 'b', capacity },
  ])
  cluster.launch('one', 'a', 'launch-one', asking(1))
  cluster.launch('two', 'a', 'launch-two', asking(1))
  cluster.launch('three', 'b', 'launch-three', asking(3))
  cluster.settle()
  return cluster
}

function begin(cluster: ModelCluster, name: string, moved: string, destination = 'b'): void {
  cluster.must({
    type: 'RoomPlanned',
    atMs: cluster.nowMs,
    operation: 'op-big',
    parallel: 2,
    moves: [
      {
        container: cluster.container(moved).id,
        name: moved,
        from: 'a',
        destination,
        reason: `makes room for ${name} on a`,
        makesRoomFor: name,
      },
    ],
    launch: {
      name,
      spec: { ...cluster.container('one').spec, ...asking(3) },
      host: 'a',
      placement: { chosen: 'a', reason: `${name} fits on a once ${moved} moves to b`, hosts: [] },
      machineId: '1'.repeat(32),
      network: '10.77.0.0/16',
      gateway: null,
    },
  })
}

t.test('making room: the others move first, live, and then the container is launched', (t) => {
  const cluster = crowded()
  begin(cluster, 'big', 'one')
  t.match(cluster.operation('op-big'), { kind: 'launch', state: 'running', phase: 'making-room' })
  cluster.settle()
  t.equal(cluster.container('one').host, 'b')
  t.equal(cluster.container('one').starts, 1, 'it was moved, not started anew')
  t.equal(cluster.container('big').host, 'a')
  t.equal(cluster.container('big').state, 'running')
  t.match(cluster.operation('op-big'), { kind: 'launch', state: 'done' })
  t.match(cluster.operation('op-big-c1-1'), { kind: 'move', parent: 'op-big' })
  t.ok(cluster.events.some(({ kind, message }) => kind === 'room.planned' && message.includes('once one moves to b')))
  t.end()
})

t.test('making room: what is promised to it is given to nobody else', (t) => {
  const cluster = crowded()
  begin(cluster, 'big', 'one')
  t.throws(() => cluster.launch('greedy', 'a', 'launch-greedy', asking(1)), /filled up/)
  cluster.settle()
  t.equal(cluster.container('big').state, 'running')
  t.end()
})

t.test('making room: a move that can’t be made ends the launch with what was in the way', (t) => {
  const cluster = crowded()
  cluster.hosts.get('a')!.failures.add('source switching')
  begin(cluster, 'big', 'one')
  cluster.settle()
  t.equal(cluster.container('one').host, 'a')
  t.match(cluster.operation('op-big'), {
    state: 'failed',
    error: { code: 'NO_CAPACITY', message: /not: one \(.*failed/ },
  })
  t.notOk(cluster.state.idsByName.has('big'))
  t.end()
})

t.test('making room: another leader goes on with it', (t) => {
  const cluster = crowded()
  begin(cluster, 'big', 'one')
  cluster.round()
  cluster.changeLeader()
  cluster.settle()
  t.equal(cluster.container('big').state, 'running')
  t.end()
})

t.test('making room: a launch plans it by itself, but not when it is told not to', async (t) => {
  const { call, report, context } = await apiFixture(t, [
    { name: 'a', capacity },
    { name: 'b', capacity },
  ])
  const launch = (name: string, gib: number, more: object = {}) =>
    call<Operation>('POST', '/v1/containers', { body: { name, memoryBytes: gib * GiB, ...more } })
  for (const [name, gib, host] of [
    ['one', 1, 'a'],
    ['two', 1, 'a'],
    ['three', 3, 'b'],
  ] as const) {
    t.equal((await launch(name, gib, { host })).status, 202)
  }
  for (let round = 0; round < 3; round += 1) for (const host of ['a', 'b']) await report(host)
  const { containers } = context.machine.state.tables
  for (const each of containers.values()) containers.set(each.id, { ...each, state: 'running', operation: null })
  const refused = await launch('no', 3, { makeRoom: false })
  t.equal(refused.status, 409)
  const begun = await launch('big', 3)
  t.equal(begun.status, 202)
  t.match(begun.body, {
    kind: 'launch',
    phase: 'making-room',
    progress: { message: /big fits on a once one moves to b/ },
  })
  const important = await launch('meek', 3, { scheduling: { priority: -1 } })
  t.equal(important.status, 409, 'more important ones don’t move for it')
})

// Whom the controller tells first: whoever lets a container run, and only then who clears away.

import type { AssignmentBatch } from '@drover/protocol'
import t from 'tap'
import { Pusher } from '../src/shell/pusher.ts'
import { ModelCluster } from './support/model-cluster.ts'

function pusherOf(cluster: ModelCluster) {
  const told: { host: string; batch: AssignmentBatch }[] = []
  const pusher = new Pusher({
    state: () => cluster.state,
    observed: cluster.observed,
    term: () => 1,
    publish: (host, batch) => void told.push({ host, batch }),
    warn: () => {},
  })
  const value = cluster.container('web')
  const touch = () =>
    pusher.note({
      index: 1,
      changes: [{ table: 'containers', key: value.id, value }],
      events: [],
      outcome: { ok: true, value: null },
    })
  const hosts = () => told.splice(0).map(({ host }) => host)
  return { pusher, touch, hosts }
}

t.test('of a move that is decided the destination is told first, and the source later', async (t) => {
  const cluster = new ModelCluster([{ name: 'a' }, { name: 'b' }])
  cluster.launch('web', 'a')
  cluster.settle()
  cluster.hosts.get('b')!.failures.add('destination committed')
  cluster.move('web', 'b')
  cluster.until('the decision', () => cluster.operation('move-web').phase === 'committed')
  const { pusher, touch, hosts } = pusherOf(cluster)
  touch()
  t.equal(pusher.push(0), true, 'there is more to tell')
  t.strictSame(hosts(), ['b'])
  pusher.pushRest(10)
  t.strictSame(hosts(), ['a'])
  pusher.pushRest(20)
  t.strictSame(hosts(), [], 'once')
})

t.test('of a move that is given up the source is told first', async (t) => {
  const cluster = new ModelCluster([{ name: 'a' }, { name: 'b' }])
  cluster.launch('web', 'a')
  cluster.settle()
  cluster.hosts.get('b')!.failures.add('destination switching')
  cluster.move('web', 'b')
  cluster.until('the decision', () => cluster.operation('move-web').phase === 'aborted')
  const { pusher, touch, hosts } = pusherOf(cluster)
  touch()
  t.equal(pusher.push(0), true)
  t.strictSame(hosts(), ['a'])
  pusher.pushRest(10)
  t.strictSame(hosts(), ['b'])
})

t.test('while a move is under way both are told at once', async (t) => {
  const cluster = new ModelCluster([{ name: 'a' }, { name: 'b' }])
  cluster.launch('web', 'a')
  cluster.settle()
  cluster.hosts.get('b')!.mute = 'restores'
  cluster.move('web', 'b')
  cluster.settle()
  t.equal(cluster.operation('move-web').phase, 'switching')
  const { pusher, touch, hosts } = pusherOf(cluster)
  touch()
  t.equal(pusher.push(0), false)
  t.strictSame(hosts().sort(), ['a', 'b'])
})

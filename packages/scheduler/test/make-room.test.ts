// Room by moving others, and by stopping them only when that is allowed.

import { makeRoom, type PlacedContainer } from '@drover/scheduler'
import t from 'tap'
import { demand, GiB, host } from './cluster.ts'

const sized = (name: string, gib: number, priority = 0) =>
  demand({ name, priority, requests: { cpuMilli: 1, memoryBytes: gib * GiB, diskBytes: 0, pids: 1 } })
const holding = (name: string, containers: PlacedContainer[]) => {
  const own = containers.filter((each) => each.host === name)
  const memoryBytes = own.reduce((sum, each) => sum + each.demand.requests.memoryBytes, 0)
  const requested = { cpuMilli: own.length, memoryBytes, diskBytes: 0, pids: own.length }
  return host(name, { requested, containers: own.length })
}
const on = (host: string, name: string, gib: number, priority = 0): PlacedContainer => ({
  host,
  demand: sized(name, gib, priority),
  movable: true,
})

t.test('the smallest container whose leaving is enough moves', async (t) => {
  const containers = [on('a', 'x', 1), on('a', 'y', 2), on('b', 'z', 3)]
  const cluster = { hosts: ['a', 'b'].map((name) => holding(name, containers)), containers }
  t.same(makeRoom(cluster, sized('new', 2), 1), {
    host: 'a',
    moves: [{ container: 'x', from: 'a', to: 'b' }],
    stopped: [],
    reason: 'new fits on a once x moves to b',
  })
})

t.test('who can only be stopped is stopped when it may be, and is less important', async (t) => {
  const containers = [on('a', 'x', 4, 0), on('b', 'y', 4, 5)]
  const cluster = { hosts: ['a', 'b'].map((name) => holding(name, containers)), containers }
  t.equal(makeRoom(cluster, sized('new', 2, 5), 1), null, 'nobody is stopped unasked')
  const stoppable = { ...cluster, containers: containers.map((each) => ({ ...each, stoppable: true })) }
  t.same(makeRoom(stoppable, sized('new', 2, 5), 1), {
    host: 'a',
    moves: [],
    stopped: [{ container: 'x', priority: 0 }],
    reason: 'new fits on a once x (priority 0) is stopped',
  })
  t.equal(makeRoom(stoppable, sized('new', 2, 0), 1), null, 'an equal is not stopped')
})

t.test('a higher priority and a container that must stay are not moved', async (t) => {
  const containers = [on('a', 'x', 2, 9), { ...on('a', 'y', 1), movable: false }, on('b', 'z', 3, 9)]
  const cluster = { hosts: ['a', 'b'].map((name) => holding(name, containers)), containers }
  t.equal(makeRoom(cluster, sized('new', 2), 1), null)
})

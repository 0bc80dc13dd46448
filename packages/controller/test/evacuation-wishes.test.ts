// Emptying hosts with wishes: how each container leaves, deadlines, several hosts at once, making room, a dry run, and bringing back.

import t from 'tap'
import type { EntryOf } from '../src/core/entries.ts'
import { decodeEntry, encodeEntry } from '../src/core/entry-codec.ts'
import { evacuationPlan } from '../src/core/evacuation-plan.ts'
import { ModelCluster } from './support/model-cluster.ts'

const names = (count: number) => Array.from({ length: count }, (_, index) => `web-${index + 1}`)

function clusterOf(count: number) {
  const cluster = new ModelCluster([{ name: 'a' }, { name: 'b' }, { name: 'c' }])
  for (const name of names(count)) cluster.launch(name, 'a')
  cluster.settle()
  return cluster
}

function evacuate(cluster: ModelCluster, host: string, wishes: Partial<EntryOf<'EvacuationStarted'>> = {}) {
  const operation = `empty-${host}`
  cluster.must({ type: 'EvacuationStarted', atMs: cluster.nowMs, operation, host, parallel: 4, ...wishes })
  return () => cluster.operation(operation)
}

t.test('each leaves as it, or the request, wishes; a wish to stay is no failure', async (t) => {
  const cluster = clusterOf(3)
  cluster.launch('db', 'a', 'l-db', { scheduling: { leave: 'stay' } })
  cluster.launch('batch', 'a', 'l-batch', { scheduling: { leave: 'stop' } })
  cluster.settle()
  const operation = evacuate(cluster, 'a', { leaveOf: { 'web-2': 'cold' } })
  cluster.settle()
  t.match(operation(), { state: 'done', progress: { done: 5, total: 5, message: /1 stay, as wished/ } })
  t.match(cluster.container('db'), { host: 'a', state: 'running' })
  t.match(cluster.container('batch'), { host: 'a', state: 'stopped' })
  t.match(cluster.container('web-1'), { state: 'running', starts: 1 })
  const cold = cluster.operation(`empty-a-${cluster.container('web-2').id}-1`)
  t.match(cold, { state: 'done', migration: { mode: 'cold' } })
  t.not(cluster.container('web-2').host, 'a')
  const stop = cluster.operation(`empty-a-${cluster.container('batch').id}-1`)
  t.match(stop, { kind: 'stop', state: 'done', parent: 'empty-a' })
})

t.test('two hosts at once: none is sent to the other', async (t) => {
  const cluster = clusterOf(6)
  for (const name of ['x-1', 'x-2', 'x-3']) cluster.launch(name, 'b')
  cluster.settle()
  const first = evacuate(cluster, 'a')
  const second = evacuate(cluster, 'b')
  cluster.settle()
  t.match(first(), { state: 'done' })
  t.match(second(), { state: 'done' })
  const moves = cluster.entries.filter((entry) => entry.type === 'MoveStarted')
  t.equal(moves.length, 9, 'each moved once')
  t.ok(moves.every(({ destination }) => destination === 'c'))
})

t.test('after its deadline nothing new begins; what is under way ends, and the rest is named', async (t) => {
  const cluster = clusterOf(4)
  const operation = evacuate(cluster, 'a', { parallel: 1, deadlineMs: 1000 })
  cluster.until('the first moves', () => operation().progress.total === 4)
  t.match(operation().progress.message, /^4 containers to move; about \d+ s to go$/, 'an estimate from the plan')
  cluster.pass(500)
  cluster.until('one has gone', () => cluster.container('web-1').host !== 'a' || operation().progress.done > 0)
  cluster.pass(1500)
  cluster.settle()
  const { state, error, progress } = operation()
  const told = cluster.entries.filter((entry) => entry.type === 'OperationAdvanced' && entry.operation === 'empty-a')
  t.ok(
    told.some(
      (entry) =>
        'progress' in entry && /^[123] of 4 containers have left a; about \d+ s to go$/.test(entry.progress.message),
    ),
    'and then by its own pace',
  )
  t.match({ state, error }, { state: 'failed', error: { code: 'TIMED_OUT', message: /its deadline of 1 s is over/ } })
  t.ok(progress.done >= 1 && progress.done < 4, `${progress.done} left`)
  for (const name of names(4)) t.strictSame(cluster.executing(name), [cluster.container(name).host])
})

t.test('what fits nowhere: the plan says who would have to move, and with leave to, they do', async (t) => {
  const capacity = (cpuMilli: number) => ({ cpuMilli, memoryBytes: 2 ** 33, diskBytes: 2 ** 40, pids: 10_000 })
  const sized = (cpuMilli: number) => ({
    requests: { cpuMilli, memoryBytes: 1 << 20, diskBytes: 0, pids: 10 },
  })
  const build = () => {
    const cluster = new ModelCluster([
      { name: 'a', capacity: capacity(1000) },
      { name: 'b', capacity: capacity(1000) },
      { name: 'c', capacity: capacity(500) },
    ])
    cluster.launch('large', 'a', 'l1', sized(900))
    cluster.launch('small', 'b', 'l2', sized(300))
    cluster.settle()
    return cluster
  }
  const refused = build()
  const { state, observed, nowMs } = refused
  const plan = evacuationPlan(state, observed, nowMs, ['a'], {})
  t.match(plan.stays, [{ container: 'large', room: 'b would have room if small to c were moved' }])
  t.equal(refused.container('large').host, 'a', 'a plan changes nothing')
  const failed = evacuate(refused, 'a')
  refused.settle()
  t.match(failed(), { state: 'failed', error: { message: /large \(.*b would have room if small to c were moved/ } })
  const cluster = build()
  const operation = evacuate(cluster, 'a', { mayMakeRoom: true })
  cluster.settle()
  t.match(operation(), { state: 'done' })
  t.match(cluster.container('large'), { host: 'b', starts: 1 })
  t.match(cluster.container('small'), { host: 'c', starts: 1 })
  const [first] = cluster.entries.filter((entry) => entry.type === 'MoveStarted')
  t.match(first, { container: 'small', reason: 'makes room for large on b' })
})

t.test('restore brings back what left, and only that; every move says why', async (t) => {
  const cluster = clusterOf(3)
  cluster.launch('other', 'b')
  cluster.settle()
  evacuate(cluster, 'a')
  cluster.settle()
  cluster.must({
    type: 'HostCordonRequested',
    atMs: cluster.nowMs,
    operation: 'back',
    kind: 'restore',
    host: 'a',
    bringBack: 4,
  })
  cluster.settle()
  t.match(cluster.operation('back'), { state: 'done', progress: { done: 3, total: 3 } })
  for (const name of names(3)) t.match(cluster.container(name), { host: 'a', epoch: 3, starts: 1 })
  t.equal(cluster.container('other').host, 'b')
  const planned = cluster.events.filter(({ kind }) => kind === 'migration.planned').map(({ message }) => message)
  t.match(planned[0], /^web-\d: live move from a to [bc]: host a is emptied: /)
  t.match(planned.at(-1), /host a is back in service, and it came from there/)
})

t.test('entries of an older version, without wishes, are still read', async (t) => {
  const old = { type: 'EvacuationStarted', atMs: 1, operation: 'o', host: 'a', parallel: 2 } as const
  t.strictSame(decodeEntry(encodeEntry(old)), old)
})

// Preempted containers that find no room: another machine is asked for, once in a while, and one that was emptied is opened for them.

import t from 'tap'
import { planWaiting } from '../src/core/planner-waiting.ts'
import { ModelCluster } from './support/model-cluster.ts'

const GiB = 2 ** 30
const capacity = { cpuMilli: 64_000, memoryBytes: 4 * GiB, diskBytes: 2 ** 40, pids: 100_000 }
const requests = { cpuMilli: 100, memoryBytes: 4 * GiB, diskBytes: GiB, pids: 10 }

/** Its only open host is full of `big`, for which `small` was just stopped. */
function displaced({ emptied = [] as string[] } = {}): ModelCluster {
  const cluster = new ModelCluster(['a', ...emptied].map((name) => ({ name, capacity })))
  for (const host of emptied) {
    const reason = 'CONSOLIDATION: it is little used'
    cluster.must({
      type: 'EvacuationStarted',
      atMs: cluster.nowMs,
      operation: `consolidate-${host}`,
      host,
      parallel: 2,
      reason,
    })
  }
  cluster.launch('small', 'a', 'launch-small', { requests, scheduling: { preemptible: true } })
  cluster.settle()
  const { id, spec } = cluster.container('small')
  cluster.must({
    type: 'RoomPlanned',
    atMs: cluster.nowMs,
    operation: 'op-big',
    parallel: 8,
    moves: [
      {
        container: id,
        name: 'small',
        from: 'a',
        destination: null,
        how: 'preempt',
        reason: 'makes room for big on a: priority 10 over 0',
        makesRoomFor: 'big',
      },
    ],
    launch: {
      name: 'big',
      spec: { ...spec, scheduling: { priority: 10 } },
      host: 'a',
      placement: { chosen: 'a', reason: 'big fits on a once small is stopped', hosts: [] },
      machineId: '1'.repeat(32),
      network: '10.77.0.0/16',
      gateway: null,
    },
  })
  cluster.settle()
  return cluster
}

function plan(cluster: ModelCluster) {
  const { state, observed, nowMs } = cluster
  return planWaiting({ state, observed, nowMs, seed: 1 })
}

t.test('what waits for room is a demand for a machine that would hold it', async (t) => {
  const cluster = displaced()
  const machines = { large: { cpuMilli: 8_000, memoryBytes: 8 * GiB, diskBytes: 2 ** 40, price: 1 } }
  cluster.must({ type: 'PolicyChanged', atMs: cluster.nowMs, operation: 'p', change: { machines } })
  t.strictSame(plan(cluster), [], 'it may start again where it is in a moment')
  cluster.pass(60_000)
  const [asked, ...others] = plan(cluster)
  t.match(asked, {
    type: 'MachinesAsked',
    event: 'provision',
    target: 'large',
    facts: { pending: [{ name: 'small' }] },
  })
  t.strictSame(others, [])
  cluster.must(asked!)
  t.strictSame(plan(cluster), [], 'once')
  cluster.pass(700_000)
  t.strictSame(plan(cluster), [], 'while the hook is being told')
})

t.test('without machines on offer nobody is asked, and without anybody waiting neither', async (t) => {
  const cluster = displaced()
  cluster.pass(60_000)
  t.strictSame(plan(cluster), [])
  const idle = new ModelCluster([{ name: 'a', capacity }])
  t.strictSame(plan(idle), [])
})

t.test('a host that consolidation has emptied is opened for it', async (t) => {
  const cluster = displaced({ emptied: ['b'] })
  t.equal(cluster.state.tables.hosts.get('b')!.cordoned, true)
  cluster.pass(60_000)
  const entries = plan(cluster)
  t.match(entries, [{ type: 'HostCordonRequested', kind: 'uncordon', host: 'b' }])
  cluster.must(entries[0]!)
  cluster.settle()
  t.strictSame(cluster.executing('small'), ['b'], 'and it goes there')
  t.strictSame(plan(cluster), [])
})

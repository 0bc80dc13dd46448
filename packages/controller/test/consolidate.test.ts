// Consolidation: hosts that are little used are emptied one at a time and closed; they are opened again when they are wanted.

import type { RebalanceSettings } from '@drover/protocol'
import t from 'tap'
import { emptiedHosts, planConsolidation } from '../src/core/planner-consolidate.ts'
import { ModelCluster } from './support/model-cluster.ts'

const settings: RebalanceSettings = { consolidate: 'on', spareHosts: 0 }

/** One container on each of three hosts; they fit one. */
function scattered(rebalance: RebalanceSettings = settings) {
  const cluster = new ModelCluster(['a', 'b', 'c'].map((name) => ({ name })))
  for (const name of ['a', 'b', 'c']) cluster.launch(`web-${name}`, name)
  cluster.settle()
  cluster.pass(120_000)
  cluster.must({ type: 'PolicyChanged', atMs: cluster.nowMs, operation: 'p', change: { rebalance } })
  return cluster
}

function plan(cluster: ModelCluster) {
  const { state, observed, nowMs } = cluster
  const entries = planConsolidation({ state, observed, nowMs, seed: 1 })
  for (const entry of entries) cluster.must(entry)
  cluster.settle()
  cluster.pass(60_000)
  return entries
}

const used = (cluster: ModelCluster) =>
  [...new Set([...cluster.state.tables.containers.values()].map(({ host }) => host))].sort()

t.test('hosts are emptied one at a time, and closed; who has just been moved rests', async (t) => {
  const cluster = scattered({ ...settings, containerCooldownS: 0 })
  t.match(plan(cluster), [
    { type: 'EvacuationStarted', reason: /^CONSOLIDATION: . is used to \d+ %; its 1 containers fit/ },
  ])
  t.equal(used(cluster).length, 2)
  t.match(
    plan(cluster),
    [{ type: 'MachinesAsked', event: 'release', facts: { host: String } }],
    'the hook is told of it',
  )
  plan(cluster)
  t.equal(used(cluster).length, 1)
  t.equal(emptiedHosts(cluster.state).length, 2)
  plan(cluster)
  t.strictSame(plan(cluster), [], 'a last host has nowhere to go')
  for (const { starts, state } of cluster.state.tables.containers.values())
    t.match({ starts, state }, { starts: 1, state: 'running' })
})

t.test('off, nothing happens; in quiet hours neither', async (t) => {
  t.strictSame(plan(scattered({ mode: 'on' })), [])
  t.strictSame(plan(scattered({ ...settings, quietHours: [{ fromMinute: 0, toMinute: 1439 }] })), [])
})

t.test('a spare host is opened again', async (t) => {
  const cluster = scattered({ consolidate: 'on', spareHosts: 1 })
  plan(cluster)
  t.equal(emptiedHosts(cluster.state).length, 1)
  t.match(plan(cluster), [{ type: 'HostCordonRequested', kind: 'uncordon' }])
  t.strictSame(emptiedHosts(cluster.state), [])
})

t.test('emptying that failed: the host takes containers again, and it isn’t tried again at once', async (t) => {
  const cluster = scattered()
  for (const host of cluster.hosts.values()) host.failures.add('destination preparing')
  const [entry] = plan(cluster)
  const host = entry?.type === 'EvacuationStarted' ? entry.host : ''
  t.equal(cluster.state.tables.hosts.get(host)!.cordoned, true)
  t.match(plan(cluster), [{ type: 'HostCordonRequested', kind: 'uncordon', host }])
  t.equal(cluster.state.tables.hosts.get(host)!.cordoned, false)
  t.strictSame(plan(cluster), [])
})

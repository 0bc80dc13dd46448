// Figures for Prometheus: each line of the form that it reads, what changes is counted, and few series however large the cluster.

import type { Operation } from '@drover/protocol'
import t from 'tap'
import { maxContainerSeries, renderMetrics } from '../src/core/metrics.ts'
import { OperationCounts } from '../src/core/operation-counts.ts'
import { apiFixture, secret } from './support/api-fixture.ts'
import { ModelCluster } from './support/model-cluster.ts'

const figures = {
  cluster: 'te"st',
  controller: 'one',
  leads: true,
  term: 3,
  appliedIndex: 7,
  pendingPlacements: 0,
  eventListeners: 1,
}

function page(cluster: ModelCluster, counts = new OperationCounts()): Map<string, number> {
  const text = renderMetrics(cluster.state, cluster.observed, cluster.nowMs, figures, counts)
  const samples = new Map<string, number>()
  for (const line of text.trimEnd().split('\n')) {
    if (/^# (HELP|TYPE) drover_[a-z_]+ \S/.test(line)) continue
    const match =
      /^(drover_[a-z_]+(?:\{[a-z]+="(?:[^"\\\n]|\\.)*"(?:,[a-z]+="(?:[^"\\\n]|\\.)*")*\})?) (\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/.exec(
        line,
      )
    if (!match) throw new Error(`no line of metrics: ${line}`)
    if (samples.has(match[1]!)) throw new Error(`twice: ${match[1]}`)
    samples.set(match[1]!, Number(match[2]))
  }
  return samples
}

t.test('metrics: hosts, containers and the log, in lines that Prometheus reads', async (t) => {
  const cluster = new ModelCluster([{ name: 'a' }, { name: 'b' }])
  for (const name of ['one', 'two']) cluster.launch(name, 'a')
  cluster.settle()
  const seen = page(cluster)
  t.equal(seen.get('drover_containers{state="running"}'), 2)
  t.equal(seen.get('drover_containers{state="stopped"}'), 0)
  t.equal(seen.get('drover_hosts{status="ready"}'), 2)
  t.equal(seen.get('drover_host_containers{host="a"}'), 2)
  t.equal(seen.get('drover_host_requested_cpu_cores{host="a"}'), 0.2)
  t.equal(seen.get('drover_raft_leader'), 1)
  t.equal(seen.get('drover_raft_applied_index'), 7)
  t.equal(seen.get('drover_container_starts_total{container="one",host="a"}'), 1)
  t.ok(
    [...seen.keys()].some((key) => key.startsWith('drover_info{cluster="te\\"st"')),
    'quotes are escaped',
  )
  cluster.cutOff.add('b')
  cluster.pass(60_000)
  t.equal(page(cluster).get('drover_host_up{host="b"}'), 0)
})

t.test('metrics: operations and moves are counted once, when they end', async (t) => {
  const cluster = new ModelCluster([{ name: 'a' }, { name: 'b' }])
  const counts = new OperationCounts()
  const move = (index: number, facts: Partial<Operation>) => {
    const value = {
      kind: 'move',
      state: 'done',
      revision: index,
      createdAtMs: 1_000,
      updatedAtMs: 3_000,
      endedAtMs: 3_000,
      migration: { figures: { blackout_ms: 80 } },
      ...facts,
    } as unknown as Operation
    counts.note({ index, changes: [{ table: 'operations', key: String(index), value }] })
  }
  move(1, {})
  move(2, { state: 'failed' })
  move(3, { endedAtMs: null })
  const seen = page(cluster, counts)
  t.equal(seen.get('drover_operations_ended_total{kind="move",state="done"}'), 1)
  t.equal(seen.get('drover_operations_ended_total{kind="move",state="failed"}'), 1)
  t.equal(seen.get('drover_move_blackout_seconds_bucket{le="0.05"}'), 0)
  t.equal(seen.get('drover_move_blackout_seconds_bucket{le="0.1"}'), 1)
  t.equal(seen.get('drover_move_blackout_seconds_bucket{le="+Inf"}'), 1)
  t.equal(seen.get('drover_move_seconds_sum'), 2)
})

t.test('metrics: single containers have series up to a bound, and the rest is said', async (t) => {
  const cluster = new ModelCluster([{ name: 'a' }])
  cluster.launch('one', 'a')
  cluster.settle()
  const { containers } = cluster.state.tables
  const one = cluster.container('one')
  for (let each = 0; each < maxContainerSeries; each++) {
    const id = `x${each}`
    containers.set(id, { ...one, id, name: `zz-${each}` })
  }
  const seen = page(cluster)
  t.equal(seen.get('drover_container_series_left_out'), 1)
  t.ok(seen.has('drover_container_memory_bytes{container="one",host="a"}'))
})

t.test('metrics: the secret is asked for', async (t) => {
  const { api } = await apiFixture(t)
  t.equal((await api.inject({ method: 'GET', url: '/metrics' })).statusCode, 401)
  const answer = await api.inject({ method: 'GET', url: '/metrics', headers: { authorization: `Bearer ${secret}` } })
  t.equal(answer.statusCode, 200)
  t.match(answer.headers['content-type'], /^text\/plain; version=0\.0\.4/)
  t.match(answer.body, /^drover_hosts\{status="ready"\} 2$/m)
})

// The verdict about a live move, from what was seen in the container and what is known of the hosts.

import type { PreflightFinding } from '@drover/protocol'
import t from 'tap'
import { preflightOf } from '../src/core/preflight.ts'
import { ModelCluster } from './support/model-cluster.ts'

function launched(): ModelCluster {
  const cluster = new ModelCluster([{ name: 'a' }, { name: 'b' }, { name: 'c' }])
  cluster.launch('web', 'a')
  cluster.settle()
  return cluster
}
const verdict = (
  cluster: ModelCluster,
  findings: PreflightFinding[] = [],
  asked: string | null = null,
  warnings: PreflightFinding[] = [],
) =>
  preflightOf(cluster.state, cluster.observed, cluster.nowMs, cluster.container('web'), { findings, warnings }, asked)
const finding: PreflightFinding = { reason: 'IO_URING', pid: 9, process: 'db', message: 'db (9) has', passing: false }

t.test('movable: every other host is told, and no fallback is needed', async (t) => {
  t.match(verdict(launched()), {
    live: true,
    hosts: [
      { host: 'b', live: true },
      { host: 'c', live: true },
    ],
    fallback: '',
  })
})

t.test('something in it: not live anywhere, but cold', async (t) => {
  t.match(verdict(launched(), [finding]), { live: false, findings: [finding], fallback: /cold/ })
  t.match(verdict(launched(), [{ ...finding, passing: true }]), { live: true })
})

t.test('warnings: no obstacle; CPUs are told of the hosts that lack them all', async (t) => {
  const cluster = launched()
  const host = cluster.state.tables.hosts.get('b')!
  cluster.state.tables.hosts.set('b', { ...host, capacity: { ...host.capacity, cpuMilli: 2000 } })
  const keys = { ...finding, reason: 'KEYRING', message: 'user 0 has a key' }
  const bound = (cpus: string) => ({ ...finding, reason: 'AFFINITY', message: `db (9) is bound to CPU ${cpus}`, cpus })
  const told = verdict(cluster, [], 'b', [keys, bound('1-5'), bound('2-3')])
  t.match(told, { live: true, warnings: [keys], hosts: [{ host: 'b' }] })
  t.strictSame(told.warnings?.length, 1)
  t.strictSame(told.hosts[0]?.notes, ['db (9) is bound to CPU 2-3, which it hasn’t got: it would run on any there'])
})

t.test('a host that lacks something is told by what it lacks', async (t) => {
  const cluster = launched()
  const host = cluster.state.tables.hosts.get('b')!
  cluster.state.tables.hosts.set('b', { ...host, features: { ...host.features, architecture: 'aarch64' } })
  const { live, hosts } = verdict(cluster, [], 'b')
  t.match({ live, hosts }, { live: false, hosts: [{ host: 'b', live: false, obstacles: [/aarch64/] }] })
  t.equal(verdict(cluster).live, true, 'the third still takes it')
})

t.test('its own host, and one that is cordoned, are no targets', async (t) => {
  const cluster = launched()
  t.match(verdict(cluster, [], 'a').hosts, [{ obstacles: ['it is there already'] }])
  const host = cluster.state.tables.hosts.get('b')!
  cluster.state.tables.hosts.set('b', { ...host, cordoned: true })
  t.match(verdict(cluster, [], 'b').hosts, [{ obstacles: ['it is cordoned'] }])
})

t.test(
  'a host where another one listens at its address is no target; one that can’t hold its disk’s size says so',
  async (t) => {
    const cluster = launched()
    const proxy = (listen: string) => ({
      devices: { p: { type: 'proxy', listen, connect: 'tcp:127.0.0.1:80' } as const },
    })
    cluster.launch('there', 'b', 'l2', proxy('tcp:0.0.0.0:8080'))
    cluster.settle()
    const change = { ...proxy('tcp:127.0.0.1:8080'), limits: { diskBytes: 1 << 30 } }
    cluster.must({ type: 'SetRequested', atMs: cluster.nowMs, operation: 's', container: 'web', change })
    cluster.settle()
    const host = cluster.state.tables.hosts.get('c')!
    cluster.state.tables.hosts.set('c', { ...host, features: { ...host.features, diskLimits: false } })
    const { live, hosts } = verdict(cluster)
    const address = 'a proxy of another container there listens at tcp:127.0.0.1:8080, which tcp:0.0.0.0:8080 takes'
    t.match(hosts, [
      { host: 'b', live: false, obstacles: [address], notes: [] },
      {
        host: 'c',
        live: true,
        obstacles: [],
        notes: ['nothing holds it to the 1 GiB of its disk there: no project quotas (prjquota)'],
      },
    ])
    t.equal(live, true)
  },
)

t.test('one that does not run can’t move live', async (t) => {
  const cluster = launched()
  const stopped = { ...cluster.container('web'), state: 'stopped' as const }
  t.match(preflightOf(cluster.state, cluster.observed, cluster.nowMs, stopped, { findings: [] }, null), {
    live: false,
    findings: [{ reason: 'NOT_RUNNING' }],
    fallback: /takes its disk/,
  })
})

// Applying entries: allocation, idempotency, refusals.

import t from 'tap'
import { parseNetwork } from '../src/core/allocate.ts'
import { apply } from '../src/core/apply.ts'
import type { Entry } from '../src/core/entries.ts'
import { decodeEntry, encodeEntry } from '../src/core/entry-codec.ts'
import { maxOperations } from '../src/core/operations.ts'
import { emptyState, encodeSnapshot } from '../src/core/state.ts'
import { ModelCluster } from './support/model-cluster.ts'

const launchEntry = (
  cluster: ModelCluster,
  name: string,
  operation: string,
  changes: Partial<Extract<Entry, { type: 'ContainerLaunched' }>> = {},
): Entry => ({
  type: 'ContainerLaunched',
  atMs: cluster.nowMs,
  operation,
  name,
  spec: {
    image: 'sha256:1',
    imageName: 'busybox',
    requests: { cpuMilli: 100, memoryBytes: 1, diskBytes: 0, pids: 1 },
    init: ['/sbin/init'],
    environment: {},
    labels: {},
  },
  host: 'a',
  placement: { chosen: 'a', reason: '', hosts: [] },
  machineId: 'f'.repeat(32),
  network: '10.77.0.0/16',
  gateway: '10.77.0.1',
  ...changes,
})
const code = (cluster: ModelCluster, entry: Entry) => {
  const outcome = cluster.propose(entry)
  return outcome.ok ? 'taken' : outcome.error.error.code
}

t.test(
  'identities: serials are never reused, uid ranges are the smallest that are free, addresses go round',
  async (t) => {
    const cluster = new ModelCluster([{ name: 'a' }])
    for (const name of ['one', 'two', 'three']) cluster.propose(launchEntry(cluster, name, `launch-${name}`))
    cluster.settle()
    t.match(cluster.container('one').identity, {
      serial: 1,
      uidBase: 1_000_000,
      mac: '02:64:00:00:00:01',
      ipv4: '10.77.1.0/16',
      gateway: '10.77.0.1',
      machineId: 'f'.repeat(32),
    })
    t.match(cluster.container('three').identity, { serial: 3, uidBase: 1_131_072, ipv4: '10.77.1.2/16' })
    cluster.must({
      type: 'PowerRequested',
      atMs: cluster.nowMs,
      operation: 'del',
      kind: 'delete',
      container: 'two',
      stopTimeoutMs: null,
    })
    cluster.settle()
    cluster.propose(launchEntry(cluster, 'four', 'launch-four'))
    t.match(cluster.container('four').identity, { serial: 4, uidBase: 1_065_536, ipv4: '10.77.1.3/16' })
  },
)

t.test('an address that is asked for is given, if it is free and a container’s to have', async (t) => {
  const cluster = new ModelCluster([{ name: 'a' }])
  cluster.propose(launchEntry(cluster, 'one', 'launch-one', { address: '10.77.1.1' }))
  t.equal(cluster.container('one').identity.ipv4, '10.77.1.1/16')
  const table: [string, RegExp][] = [
    ['10.77.1.1', /it is one’s/],
    ['10.78.0.5', /not in 10\.77\.0\.0\/16/],
    ['10.77.0.9', /the hosts’/],
    ['10.77.255.255', /broadcast/],
    ['10.77.1.256', /no IPv4 address/],
  ]
  for (const [address, message] of table) {
    const refused = cluster.propose(launchEntry(cluster, 'two', `launch-${address}`, { address }))
    t.match(refused, { ok: false, error: { error: { code: 'BAD_REQUEST', message } } }, address)
  }
  for (const name of ['two', 'three']) cluster.propose(launchEntry(cluster, name, `launch-${name}`))
  t.equal(cluster.container('two').identity.ipv4, '10.77.1.2/16', 'nobody else gets it')
})

t.test('a MAC and an IPv6 address that are asked for are given, if they are free and never another’s', async (t) => {
  const cluster = new ModelCluster([{ name: 'a' }])
  const network6 = 'fd64:0:4e::/64'
  const asked = { network6, mac: '02:00:5E:00:53:01', address6: 'fd64:0:4e::Beef:1' }
  cluster.propose(launchEntry(cluster, 'one', 'launch-one', asked))
  t.match(cluster.container('one').identity, { mac: '02:00:5e:00:53:01', ipv6: 'fd64:0:4e::beef:1/64' })
  const table: [object, RegExp][] = [
    [{ mac: '02:00:5e:00:53:01' }, /it is one’s/],
    [{ mac: '02:64:00:00:00:09' }, /given out by drover/],
    [{ mac: '03:00:5e:00:53:01' }, /group/],
    [{ mac: '02:d0:00:00:00:01' }, /bridges/],
    [{ mac: '02:00:5e:00:53' }, /not six bytes/],
    [{ address6: 'fd64:0:4e:0:0:0:beef:1' }, /it is one’s/],
    [{ address6: 'fd64:0:4e::1:0:9' }, /given out by drover/],
    [{ address6: 'fd64:0:4e::1' }, /the hosts’/],
    [{ address6: 'fd64:0:4f::beef' }, /not in fd64:0:4e::\/64/],
    [{ address6: 'fd64::4e::beef' }, /no IPv6 address/],
    [{ address6: 'fd64:0:4e::beef', network6: undefined }, /have no IPv6/],
  ]
  for (const [index, [wish, message]] of table.entries()) {
    const refused = cluster.propose(launchEntry(cluster, 'two', `launch-${index}`, { network6, ...wish }))
    t.match(refused, { ok: false, error: { error: { code: 'BAD_REQUEST', message } } }, JSON.stringify(wish))
  }
})

t.test('IPv6 addresses are made of the serial, where the cluster has a network for them', async (t) => {
  const cluster = new ModelCluster([{ name: 'a' }])
  cluster.propose(launchEntry(cluster, 'one', 'launch-one', { network6: 'fd64:0:4e::/64' }))
  t.equal(cluster.container('one').identity.ipv6, 'fd64:0:4e::1:0:1/64')
  t.equal(code(cluster, launchEntry(cluster, 'two', '2', { network6: 'fe80::1/10' })), 'BAD_REQUEST')
  cluster.propose(launchEntry(cluster, 'three', 'launch-three'))
  t.equal(cluster.container('three').identity.ipv6, undefined)
})

t.test('a network without free addresses refuses by name and limit', async (t) => {
  const cluster = new ModelCluster([{ name: 'a' }])
  t.equal(code(cluster, launchEntry(cluster, 'one', '1', { network: '10.0.0.0/24' })), 'LIMIT_REACHED')
  t.equal(cluster.state.tables.containers.size, 0)
  for (const bad of ['10.0.0.0', '10.0.0/16', '10.0.0.256/16', '10.0.0.0/33', 'x/16', '10.0.0.0/16/1']) {
    t.equal(parseNetwork(bad), null, bad)
  }
})

t.test('the same operation id gives the same operation, once', async (t) => {
  const cluster = new ModelCluster([{ name: 'a' }])
  const first = cluster.propose(launchEntry(cluster, 'web', 'op-1'))
  cluster.settle()
  const again = cluster.propose(launchEntry(cluster, 'web', 'op-1'))
  t.match(
    [first, again],
    [
      { ok: true, value: { id: 'op-1' } },
      { ok: true, value: { id: 'op-1', state: 'done' } },
    ],
  )
  t.equal(cluster.state.tables.containers.size, 1)
  t.equal(code(cluster, launchEntry(cluster, 'web', 'op-2')), 'NAME_TAKEN')
  t.equal(code(cluster, launchEntry(cluster, 'other', 'op-1')), 'BAD_REQUEST', 'the id stands for something else')
})

t.test('a placement is checked again when it is applied', async (t) => {
  const capacity = { cpuMilli: 150, memoryBytes: 10, diskBytes: 10, pids: 10 }
  const cluster = new ModelCluster([{ name: 'a', capacity }, { name: 'b' }])
  t.equal(code(cluster, launchEntry(cluster, 'one', '1')), 'taken')
  t.equal(code(cluster, launchEntry(cluster, 'two', '2')), 'PLACEMENT_STALE')
  cluster.must({ type: 'HostCordonRequested', atMs: 1, operation: 'close', kind: 'cordon', host: 'b' })
  t.equal(code(cluster, launchEntry(cluster, 'two', '3', { host: 'b' })), 'PLACEMENT_STALE')
  t.equal(code(cluster, launchEntry(cluster, 'two', '4', { host: 'nowhere' })), 'HOST_NOT_FOUND')
})

t.test('a host’s word counts only for what it may run, in the epoch it has', async (t) => {
  const cluster = new ModelCluster([{ name: 'a' }, { name: 'b' }])
  cluster.launch('web', 'a')
  cluster.settle()
  const base = {
    type: 'ContainerObserved',
    atMs: 1,
    container: 'c1',
    state: 'stopped',
    message: null,
    initPid: null,
    startedAtMs: null,
    starts: 9,
  } as const
  t.equal(code(cluster, { ...base, host: 'b', epoch: 1 }), 'STALE_EPOCH')
  t.equal(code(cluster, { ...base, host: 'a', epoch: 2 }), 'STALE_EPOCH')
  t.equal(cluster.container('web').state, 'running')
})

t.test('a container whose init ends by itself stays stopped until it is started', async (t) => {
  const cluster = new ModelCluster([{ name: 'a' }])
  cluster.launch('web', 'a')
  cluster.settle()
  cluster.hosts.get('a')!.end('c1')
  cluster.settle()
  t.match(cluster.container('web'), { state: 'stopped', desired: 'stopped' })
  cluster.must({
    type: 'PowerRequested',
    atMs: cluster.nowMs,
    operation: 'again',
    kind: 'start',
    container: 'web',
    stopTimeoutMs: null,
  })
  cluster.settle()
  t.match(cluster.container('web'), { state: 'running', starts: 2 })
  t.match(cluster.operation('again'), { state: 'done' })
})

t.test('a cancelled launch removes what was made of it', async (t) => {
  const cluster = new ModelCluster([{ name: 'a' }])
  cluster.lossy.add('a')
  cluster.launch('web', 'a')
  cluster.must({ type: 'CancelRequested', atMs: 1, operation: 'launch-web' })
  t.match(cluster.operation('launch-web'), { state: 'cancelled' })
  cluster.lossy.clear()
  cluster.settle()
  t.equal(cluster.state.tables.containers.size, 0)
  t.equal(cluster.hosts.get('a')!.containers.size, 0)
})

t.test('operations are forgotten beyond the limit, the oldest ended first', async (t) => {
  const cluster = new ModelCluster([{ name: 'a' }])
  for (let each = 0; each < maxOperations + 10; each += 1) {
    cluster.must({
      type: 'HostCordonRequested',
      atMs: each,
      operation: `c${each}`,
      kind: each % 2 ? 'cordon' : 'uncordon',
      host: 'a',
    })
  }
  const { operations } = cluster.state.tables
  t.ok(operations.size <= maxOperations)
  t.equal(operations.has('c0'), false)
  t.equal(operations.has(`c${maxOperations + 9}`), true)
})

t.test('an entry that is no entry is refused and leaves the state as it was', async (t) => {
  for (const bytes of [
    Buffer.from('{'),
    Buffer.from('null'),
    Buffer.from('{"type":"Unknown","atMs":1}'),
    encodeEntry({ type: 'CancelRequested', atMs: 1 } as never),
  ]) {
    t.throws(() => decodeEntry(bytes), { code: 'INTERNAL' })
  }
  const state = emptyState()
  const outcome = apply(state, 1, { type: 'CancelRequested', atMs: 1, operation: 'x' })
  t.match(outcome, {
    changes: [],
    events: [],
    outcome: { ok: false, error: { error: { code: 'OPERATION_NOT_FOUND' } } },
  })
  t.equal(
    Buffer.from(encodeSnapshot(state)).toString(),
    Buffer.from(encodeSnapshot({ ...emptyState(), index: 1 })).toString(),
  )
})

t.test('a host that goes silent and comes back is announced once each', async (t) => {
  const cluster = new ModelCluster([{ name: 'a' }, { name: 'b' }])
  cluster.cutOff.add('b')
  for (const _ of [1, 2, 3]) {
    cluster.pass(4_000)
    cluster.settle()
  }
  cluster.cutOff.delete('b')
  cluster.pass(100)
  cluster.settle()
  const told = cluster.events
    .filter(({ target, kind }) => target === 'b' && kind.startsWith('host.'))
    .map(({ kind }) => kind)
  t.strictSame(told, ['host.joined', 'host.silent', 'host.heard'])
})

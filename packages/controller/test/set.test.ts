// set: limits and requests of containers, changed, refused and taken back.

import type { SetRequest } from '@drover/protocol'
import t from 'tap'
import { failureGraceMs, silentHostDeadlineMs } from '../src/core/planner-power.ts'
import { apiFixture } from './support/api-fixture.ts'
import { ModelCluster } from './support/model-cluster.ts'

const MiB = 2 ** 20

function cluster(mostCpuMilli = Number.MAX_SAFE_INTEGER) {
  const made = new ModelCluster([{ name: 'a', mostCpuMilli }, { name: 'b' }])
  made.launch('web', 'a')
  made.settle()
  const set = (change: SetRequest, operation = 'set-web') =>
    made.propose({ type: 'SetRequested', atMs: made.nowMs, operation, container: 'web', change })
  const inForce = (host = 'a') => made.hosts.get(host)!.limits.get(made.container('web').id)
  return { made, set, inForce }
}

t.test('set: done when the host has the limits in force; what is not named stays, null takes away', async (t) => {
  const { made, set, inForce } = cluster()
  t.match(set({ limits: { memoryBytes: 512 * MiB, cpuMilli: 1500 } }), { ok: true, value: { kind: 'set' } })
  t.equal(made.operation('set-web').state, 'running')
  made.settle()
  t.match(made.operation('set-web'), { state: 'done', error: null })
  t.same(inForce(), { memoryBytes: 512 * MiB, cpuMilli: 1500 })
  set({ limits: { cpuMilli: null, pids: 7 } }, 'again')
  made.settle()
  t.same(inForce(), { memoryBytes: 512 * MiB, cpuMilli: null, pids: 7 })
  t.match(made.container('web'), { state: 'running', starts: 1, operation: null })
})

t.test('set: the restart policy is committed, and taken back with the rest', async (t) => {
  const { made, set } = cluster(2000)
  set({ restart: { policy: 'always', most: 3 } }, 'first')
  made.settle()
  t.match(made.operation('first'), { state: 'done' })
  set({ restart: { policy: 'no', most: 0 }, limits: { cpuMilli: 4000 } })
  made.settle()
  made.pass(failureGraceMs)
  made.settle()
  t.match(made.operation('set-web'), { state: 'failed' })
  t.same(made.container('web').spec.restart, { policy: 'always', most: 3 })
})

t.test('set: security is changed while it is stopped, and privilege never', async (t) => {
  const { made, set } = cluster()
  const change = { security: { dropCapabilities: ['NET_RAW'] } }
  t.match(set(change, 'running'), { ok: false, error: { error: { code: 'WRONG_STATE', message: /stop it first/ } } })
  t.match(set({ security: { privileged: true } }, 'privileged'), {
    ok: false,
    error: { error: { message: /chosen at launch/ } },
  })
  t.match(set({ security: { nesting: false } }, 'same'), { ok: true }, 'what it is already')
  made.settle()
  made.must({
    type: 'PowerRequested',
    atMs: made.nowMs,
    operation: 'stop',
    kind: 'stop',
    container: 'web',
    stopTimeoutMs: null,
  })
  made.settle()
  t.match(set({ security: { addCapabilities: ['NET_RAW'], ...change.security } }, 'both'), {
    ok: false,
    error: { error: { message: /both/ } },
  })
  t.match(set(change), { ok: true })
  made.settle()
  t.match(made.container('web').spec.security, { nesting: false, dropCapabilities: ['NET_RAW'] })
})

t.test('set: sysctls and rlimits are named one by one; null takes one away', async (t) => {
  const { made, set } = cluster()
  set(
    { sysctls: { 'net.ipv4.ip_forward': '1', 'net.core.somaxconn': '99' }, rlimits: { nofile: { soft: 1, hard: 2 } } },
    'first',
  )
  made.settle()
  set({ sysctls: { 'net.core.somaxconn': null }, rlimits: { core: { soft: 0, hard: null } } })
  made.settle()
  t.match(made.operation('set-web'), { state: 'done' })
  const { sysctls, rlimits } = made.container('web').spec
  t.same(sysctls, { 'net.ipv4.ip_forward': '1' })
  t.same(rlimits, { nofile: { soft: 1, hard: 2 }, core: { soft: 0, hard: null } })
  const refused = (change: SetRequest, message: RegExp) =>
    t.match(set(change, String(message)), { ok: false, error: { error: { code: 'BAD_REQUEST', message } } })
  refused({ sysctls: { 'net/../kernel/core_pattern': 'x' } }, /no variable of a container/)
  refused({ sysctls: { 'net.core.somaxconn': '1', 'net/core/somaxconn': '2' } }, /there twice/)
  refused({ rlimits: { nofile: { soft: 3, hard: 2 } } }, /soft limit 3 is above the hard one, 2/)
})

t.test('set: limits move with the container', async (t) => {
  const { made, set } = cluster()
  set({ limits: { networkBits: 1_000_000 } })
  made.settle()
  made.move('web', 'b')
  made.settle()
  t.match(made.container('web'), { host: 'b', spec: { limits: { networkBits: 1_000_000 } } })
})

t.test('set: what the host can’t do fails the operation with its reason and is taken back', async (t) => {
  const { made, set, inForce } = cluster(2000)
  set({ limits: { cpuMilli: 1000 } }, 'first')
  made.settle()
  set({ limits: { cpuMilli: 4000, pids: 5 } })
  made.settle()
  t.match(made.operation('set-web'), {
    state: 'failed',
    error: { code: 'ENGINE_FAILED', message: /set web on host a: set cpu: the kernel refuses it/ },
  })
  t.same(made.container('web').spec.limits, { cpuMilli: 1000 })
  t.same(inForce(), { cpuMilli: 1000 })
  t.match(made.container('web'), { state: 'running', message: null, operation: null })
})

t.test('set: cancelled, or never heard of by the host: taken back', async (t) => {
  const { made, set } = cluster()
  const { limits } = made.container('web').spec
  made.cutOff.add('a')
  set({ limits: { pids: 9 } }, 'cancelled')
  made.must({ type: 'CancelRequested', atMs: made.nowMs, operation: 'cancelled' })
  t.same(made.container('web').spec.limits ?? {}, limits ?? {})
  set({ limits: { pids: 9 } })
  made.pass(silentHostDeadlineMs + 1)
  made.settle()
  t.match(made.operation('set-web'), { state: 'failed', error: { code: 'HOST_UNREACHABLE' } })
  t.same(made.container('web').spec.limits ?? {}, limits ?? {})
})

t.test('set: placement counts requests, not limits; a request may not outgrow the host', async (t) => {
  const { made, set } = cluster()
  const before = made.container('web').spec.requests
  set({ limits: { memoryBytes: 2 ** 40 } })
  made.settle()
  t.same(made.container('web').spec.requests, before)
  t.match(set({ requests: { memoryBytes: 2 ** 40 } }, 'more'), {
    ok: false,
    error: { error: { code: 'NO_CAPACITY', message: /set web: host a is too full for it: memoryBytes/ } },
  })
  set({ limits: { memoryBytes: 16 * MiB }, requests: { cpuMilli: 300 } }, 'less')
  made.settle()
  t.match(
    made.container('web').spec.requests,
    { memoryBytes: 16 * MiB, cpuMilli: 300 },
    'nobody asks for more than it may use',
  )
})

t.test('set: refused while something else is under way; the same key twice is one operation', async (t) => {
  const { made, set } = cluster()
  t.match(set({ limits: { pids: 3 } }), { ok: true })
  t.match(set({ limits: { pids: 3 } }), { ok: true, value: { id: 'set-web' } })
  t.match(set({ limits: { pids: 4 } }, 'other'), { ok: false, error: { error: { code: 'BUSY' } } })
  made.settle()
  t.match(made.container('web').spec.limits, { pids: 3 })
})

t.test('set over the API: bad fields are named, and nothing changes', async (t) => {
  const { call } = await apiFixture(t)
  t.match(await call('POST', '/v1/containers', { body: { name: 'web', limits: { cpuMilli: 500 } } }), { status: 202 })
  const table: [unknown, RegExp][] = [
    [{ limits: { cpuMilli: 1 } }, /cpuMilli/],
    [{ limits: { cpus: '1;2' } }, /cpus/],
    [{ limits: { colour: 1 } }, /limits/],
    [{ memory: 1 }, /memory|additional/],
  ]
  for (const [body, named] of table) {
    const answer = await call('POST', '/v1/containers/web/set', { body })
    t.match(answer, { status: 400, body: { error: { code: 'BAD_REQUEST', message: named } } })
  }
  t.match(await call('POST', '/v1/containers/nobody/set', { body: {} }), { status: 404 })
  t.match(await call('GET', '/v1/containers/web'), { status: 200, body: { spec: { limits: { cpuMilli: 500 } } } })
})

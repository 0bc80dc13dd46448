// Snapshots and copies as the state machine and the planners see them: committed when the host has them, named when refused, gone in time.

import { maxSnapshots } from '@drover/protocol'
import t from 'tap'
import { assignmentsOf, completeBatch } from '../src/core/assignments.ts'
import { silentHostDeadlineMs } from '../src/core/planner-power.ts'
import { apiFixture } from './support/api-fixture.ts'
import { ModelCluster } from './support/model-cluster.ts'

function cluster() {
  const made = new ModelCluster([{ name: 'a' }, { name: 'b' }])
  made.launch('web', 'a')
  made.settle()
  const take = (name: string, more: { memory?: boolean; expiresAtMs?: number | null; operation?: string } = {}) => {
    const { memory = false, expiresAtMs = null, operation = `take-${name}` } = more
    const entry = { operation, container: 'web', name, memory, expiresAtMs, scheduled: false }
    return made.propose({ type: 'SnapshotRequested', atMs: made.nowMs, ...entry })
  }
  const restore = (name: string, start: boolean, operation = `restore-${name}`) =>
    made.propose({ type: 'SnapshotRestoreRequested', atMs: made.nowMs, operation, container: 'web', name, start })
  const remove = (name: string) =>
    made.propose({ type: 'SnapshotDeleteRequested', atMs: made.nowMs, operation: `rm-${name}`, container: 'web', name })
  const copy = (name: string, more: { snapshot?: string; start?: boolean; host?: string } = {}) => {
    const { snapshot = null, start = true, host = 'b' } = more
    const placement = { chosen: host, reason: 'the test says so', hosts: [] }
    const fresh = { machineId: '1'.repeat(32), network: '10.77.0.0/16', gateway: null }
    const entry = { operation: `copy-${name}`, container: 'web', snapshot, name, start, host, placement, ...fresh }
    return made.propose({ type: 'ContainerCopied', atMs: made.nowMs, ...entry })
  }
  const refresh = (name: string, snapshot: string | null = null, operation = `refresh-${name}-${made.nowMs}`) =>
    made.propose({ type: 'CopyRefreshed', atMs: made.nowMs, operation, container: 'web', snapshot, name })
  const power = (kind: 'stop' | 'start' | 'delete', container = 'web') => {
    const operation = `${kind}-${container}-${made.nowMs}`
    made.must({ type: 'PowerRequested', atMs: made.nowMs, operation, kind, container, stopTimeoutMs: null })
    made.settle()
  }
  const names = () => (made.container('web').snapshots ?? []).map(({ name }) => name)
  const listed = () => assignmentsOf(made.state, made.container('web'))[0]!.assignment.snapshots
  return { made, take, restore, remove, copy, refresh, power, names, listed }
}

t.test('snapshot: is one when its host has it, and the container runs on', async (t) => {
  const { made, take, names, listed } = cluster()
  t.match(take('first'), { ok: true, value: { kind: 'snapshot', state: 'running' } })
  t.same(names(), [], 'not yet')
  made.settle()
  t.match(made.operation('take-first'), { state: 'done', parameters: { figures: { paused_ms: 2 } } })
  t.match(made.container('web'), { state: 'running', starts: 1, operation: null })
  t.match(made.container('web').snapshots, [{ name: 'first', sizeBytes: 4096, memory: false, expiresAtMs: null }])
  t.same(listed(), ['first'], 'its host keeps what is listed')
  t.match(take('first', { operation: 'twice' }), { ok: false, error: { error: { code: 'NAME_TAKEN' } } })
  t.match(take('first'), { ok: true, value: { id: 'take-first' } }, 'the same request again is the same operation')
})

t.test('snapshot: a host that fails or is silent fails the operation, and nothing is listed', async (t) => {
  const { made, take, names } = cluster()
  made.hosts.get('a')!.failures.add('source snapshot')
  take('full')
  made.settle()
  t.match(made.operation('take-full'), {
    state: 'failed',
    error: { code: 'ENGINE_FAILED', message: /snapshot of web \(full\) on host a: the disk is full/ },
  })
  made.hosts.get('a')!.mute = 'snapshots'
  take('late')
  made.settle()
  made.cutOff.add('a')
  made.pass(silentHostDeadlineMs + 1)
  made.settle()
  t.match(made.operation('take-late'), { state: 'failed', error: { code: 'HOST_UNREACHABLE' } })
  t.same(names(), [])
})

t.test('snapshot: one operation at a time, only in a fitting state, and never more than the limit', async (t) => {
  const { made, take, power } = cluster()
  made.hosts.get('a')!.mute = 'snapshots'
  take('one')
  t.match(take('two'), { ok: false, error: { error: { code: 'BUSY' } } })
  made.must({ type: 'CancelRequested', atMs: made.nowMs, operation: 'take-one' })
  made.settle()
  t.match(made.operation('take-one'), { state: 'cancelled' })
  made.hosts.get('a')!.mute = null
  power('stop')
  t.match(take('warm', { memory: true }), { ok: false, error: { error: { code: 'WRONG_STATE' } } })
  for (let index = 0; index < maxSnapshots; index += 1) {
    t.match(take(`s${index}`), { ok: true })
    made.settle()
  }
  t.match(take('more'), { ok: false, error: { error: { code: 'LIMIT_REACHED' } } })
})

t.test('snapshot: goes when it expires or is deleted, and along when its container moves', async (t) => {
  const { made, take, remove, names, listed } = cluster()
  take('keep')
  made.settle()
  take('brief', { expiresAtMs: made.nowMs + 1000 })
  made.settle()
  made.move('web', 'b')
  made.settle()
  t.match(made.container('web'), { host: 'b' })
  t.same(listed(), ['keep', 'brief'])
  made.pass(1000)
  made.settle()
  t.same(names(), ['keep'])
  t.match(remove('keep'), { ok: true, value: { state: 'done' } })
  t.same(listed(), [])
  t.match(remove('keep'), { ok: true }, 'once more is the same')
  const again = { atMs: made.nowMs, operation: 'other', container: 'web', name: 'keep' }
  t.match(made.propose({ type: 'SnapshotDeleteRequested', ...again }), {
    ok: false,
    error: { error: { code: 'SNAPSHOT_NOT_FOUND' } },
  })
})

t.test(
  'restore: of a stopped container leaves it stopped; of a running one needs its word and starts it',
  async (t) => {
    const { made, take, restore, power } = cluster()
    take('was')
    made.settle()
    t.match(restore('was', false), { ok: false, error: { error: { code: 'WRONG_STATE', message: /--start/ } } })
    t.match(restore('other', true), { ok: false, error: { error: { code: 'SNAPSHOT_NOT_FOUND' } } })
    t.match(restore('was', true), { ok: true })
    t.equal(made.container('web').desired, 'stopped', 'its host stops it first')
    made.settle()
    t.match(made.operation('restore-was'), { state: 'done' })
    t.match(made.container('web'), { state: 'running', desired: 'running', operation: null })
    power('stop')
    t.match(restore('was', false, 'again'), { ok: true })
    made.settle()
    t.match(made.operation('again'), { state: 'done' })
    t.match(made.container('web'), { state: 'stopped', desired: 'stopped', operation: null })
  },
)

t.test('restore: one that fails leaves the container on or off as it was', async (t) => {
  const { made, take, restore } = cluster()
  take('was')
  made.settle()
  made.hosts.get('a')!.failures.add('source snapshot')
  restore('was', true)
  made.settle()
  t.match(made.operation('restore-was'), { state: 'failed', error: { message: /the disk is full/ } })
  t.match(made.container('web'), { state: 'running', desired: 'running' })
})

t.test('copy: a new container of its own identity, on another host, while the other is held', async (t) => {
  const { made, copy } = cluster()
  made.hosts.get('b')!.mute = 'snapshots'
  t.match(copy('twin'), { ok: true, value: { kind: 'copy', target: 'twin' } })
  made.settle()
  const origin = assignmentsOf(made.state, made.container('twin'))[0]!.assignment.origin
  t.match(origin, { container: 'c1', name: 'web', snapshot: null, source: { host: 'a', streamPort: 2 } })
  t.equal(origin?.uidBase, made.container('web').identity.uidBase)
  t.same(made.executing('twin'), [], 'nothing of it runs before its disk is there')
  t.throws(() => made.move('web', 'b'), /BUSY/)
  made.hosts.get('b')!.mute = null
  made.hosts.get('b')!.containers.clear()
  made.settle()
  t.match(made.operation('copy-twin'), { state: 'done' })
  const [web, twin] = [made.container('web'), made.container('twin')]
  t.match(twin, { state: 'running', host: 'b', operation: null })
  t.match(web, { state: 'running', starts: 1, operation: null })
  for (const key of ['serial', 'uidBase', 'mac', 'ipv4', 'machineId'] as const) {
    t.not(twin.identity[key], web.identity[key], key)
  }
  t.equal(assignmentsOf(made.state, twin)[0]!.assignment.origin, undefined)
})

t.test('copy: left stopped when asked; removed when its disk can’t be had', async (t) => {
  const { made, copy, power } = cluster()
  copy('cold', { start: false })
  made.settle()
  t.match(made.operation('copy-cold'), { state: 'done' })
  t.match(made.container('cold'), { state: 'stopped', desired: 'stopped', operation: null })
  power('start', 'cold')
  t.match(made.container('cold'), { state: 'running' })
  t.match(copy('web'), { ok: false, error: { error: { code: 'NAME_TAKEN' } } })
  t.match(copy('x', { snapshot: 'none' }), { ok: false, error: { error: { code: 'SNAPSHOT_NOT_FOUND' } } })
  made.hosts.get('b')!.failures.add('source snapshot')
  copy('broken')
  made.settle()
  t.match(made.operation('copy-broken'), { state: 'failed', error: { message: /the disk is full/ } })
  t.equal(made.container('broken'), undefined, 'nothing is left of it')
  t.match(made.container('web'), { state: 'running', operation: null })
})

t.test('refresh: one that is off gets the disk as it is now, and stays what it is', async (t) => {
  const { made, copy, refresh, power } = cluster()
  copy('twin')
  made.settle()
  t.match(refresh('twin'), {
    ok: false,
    error: { error: { message: /twin is running, not stopped; first: drover stop/ } },
  })
  t.match(refresh('web'), { ok: false, error: { error: { code: 'BAD_REQUEST', message: /they are the same/ } } })
  t.match(refresh('none'), { ok: false, error: { error: { code: 'CONTAINER_NOT_FOUND' } } })
  power('stop', 'twin')
  t.match(refresh('twin', 'none'), { ok: false, error: { error: { code: 'SNAPSHOT_NOT_FOUND' } } })
  const before = made.container('twin')
  made.hosts.get('b')!.mute = 'snapshots'
  t.match(refresh('twin', null, 'now'), { ok: true, value: { kind: 'copy', target: 'twin', state: 'running' } })
  made.settle()
  const origin = assignmentsOf(made.state, made.container('twin'))[0]!.assignment.origin
  t.match(origin, { container: 'c1', name: 'web', snapshot: null, refresh: true, source: { host: 'a' } })
  t.throws(() => made.move('web', 'b'), /BUSY/, 'the one that is copied is held')
  const start = { operation: 'early', kind: 'start', container: 'twin', stopTimeoutMs: null } as const
  t.match(
    made.propose({ type: 'PowerRequested', atMs: made.nowMs, ...start }),
    { ok: false },
    'it does not start on half a disk',
  )
  made.hosts.get('b')!.mute = null
  made.hosts.get('b')!.containers.clear()
  made.settle()
  t.match(made.operation('now'), { state: 'done' })
  t.match(made.container('twin'), { state: 'stopped', identity: before.identity, host: 'b', operation: null })
  t.match(made.container('web'), { state: 'running', starts: 1, operation: null })
  power('start', 'twin')
  t.match(made.container('twin'), { state: 'running' })
})

t.test('refresh: one whose disk can’t be had keeps its own, and is not removed as a half copy is', async (t) => {
  const { made, copy, refresh } = cluster()
  copy('twin', { start: false })
  made.settle()
  made.hosts.get('b')!.failures.add('source snapshot')
  refresh('twin', null, 'full')
  made.settle()
  t.match(made.operation('full'), { state: 'failed', error: { message: /the disk is full/ } })
  t.match(made.container('twin'), { state: 'stopped', deleting: false, operation: null })
  made.hosts.get('b')!.mute = 'snapshots'
  refresh('twin', null, 'late')
  made.settle()
  made.must({ type: 'CancelRequested', atMs: made.nowMs, operation: 'late' })
  t.match(made.operation('late'), { state: 'cancelled', progress: { message: 'cancelled' } })
  t.match(made.container('twin'), { state: 'stopped', deleting: false, operation: null })
})

t.test(
  'schedule: one in each slot, kept as long and as many as asked, never twice, and none of a stopped one',
  async (t) => {
    const { made, power, names, take } = cluster()
    const hour = 3_600_000
    made.pass(hour - (made.nowMs % hour))
    const set = (snapshots: object, operation: string) =>
      made.must({ type: 'SetRequested', atMs: made.nowMs, operation, container: 'web', change: { snapshots } })
    set({ scheduleMs: hour, keep: 2, expiryMs: 3 * hour }, 'plan')
    made.settle()
    t.same(names().length, 1, 'the hour since the launch has passed')
    made.settle()
    t.same(names().length, 1)
    take('mine')
    made.settle()
    for (let each = 0; each < 3; each += 1) {
      made.pass(hour)
      made.settle()
    }
    t.match(names(), ['mine', /^auto-1970/, /^auto-1970/], 'two of them and the one that was asked for')
    t.match(made.container('web').snapshots?.at(-1), { scheduled: true, expiresAtMs: made.nowMs + 3 * hour })
    made.hosts.get('a')!.failures.add('source snapshot')
    made.pass(hour)
    made.settle()
    const tried = made.entries.filter(({ type }) => type === 'SnapshotRequested').length
    made.settle()
    t.equal(made.entries.filter(({ type }) => type === 'SnapshotRequested').length, tried, 'a slot is tried once')
    made.hosts.get('a')!.failures.clear()
    power('stop')
    made.pass(3 * hour)
    made.settle()
    t.same(names(), ['mine'], 'expired, and no new ones')
  },
)

t.test('the API takes, lists, restores and deletes snapshots, and says which field is wrong', async (t) => {
  const { call, models, report, context } = await apiFixture(t)
  await call('POST', '/v1/containers', { body: { name: 'web', host: 'a' } })
  const host = models.get('a')!
  const settle = async () => {
    for (let round = 0; round < 3; round += 1) {
      host.receive(completeBatch(context.machine.state, 'a', 1))
      host.act()
      await report('a')
    }
  }
  await settle()
  const path = '/v1/containers/web/snapshots'
  t.match(await call('POST', path, { body: { name: 'A b' } }), { status: 400, body: { error: { message: /name/ } } })
  t.match(await call('POST', path, { body: { expiresInMs: 1 } }), { status: 400 })
  t.match(await call('POST', path, { body: { name: 'one', expiresInMs: 60_000 } }), {
    status: 202,
    body: { kind: 'snapshot', parameters: { snapshot: 'one' } },
  })
  await settle()
  const list = await call<{ name: string; expiresAtMs: number }[]>('GET', path)
  t.match(list, { status: 200, body: [{ name: 'one', sizeBytes: 4096 }] })
  t.ok(list.body[0]!.expiresAtMs > Date.now())
  t.match(await call('POST', `${path}/one/restore`), { status: 409, body: { error: { code: 'WRONG_STATE' } } })
  t.match(await call('POST', `${path}/two/restore`, { body: { start: true } }), { status: 404 })
  t.match(await call('POST', `${path}/one/restore`, { body: { start: true } }), { status: 202 })
  await settle()
  t.match(await call('POST', '/v1/containers/web/copy', { body: { name: 'twin', snapshot: 'none' } }), { status: 404 })
  t.match(await call('POST', '/v1/containers/web/copy', { body: { name: 'web' } }), { status: 409 })
  t.match(await call('POST', '/v1/containers/web/copy', { body: { name: 'twin', host: 'a', snapshot: 'one' } }), {
    status: 202,
    body: { kind: 'copy', target: 'twin' },
  })
  await settle()
  const refresh = (more: object) => call('POST', '/v1/containers/web/copy', { body: { refresh: true, ...more } })
  t.match(await refresh({ name: 'new', start: true }), { status: 400, body: { error: { message: /start is true/ } } })
  t.match(await refresh({ name: 'new', host: 'a' }), { status: 202, body: { kind: 'copy', target: 'new' } })
  await settle()
  t.match(await call('GET', '/v1/containers/new'), { body: { desired: 'stopped', operation: null } }, 'made, and off')
  t.match(await refresh({ name: 'new', host: 'b' }), {
    status: 400,
    body: { error: { message: /it is on host a, not on b/ } },
  })
  t.match(await refresh({ name: 'new' }), { status: 202, body: { kind: 'copy', parameters: { refresh: true } } })
  await settle()
  t.match(await call('DELETE', `${path}/one`), { status: 202, body: { state: 'done' } })
  t.match(await call('GET', path), { body: [] })
  t.match(await call('GET', '/v1/containers/none/snapshots'), { status: 404 })
})

t.test('export: done when its host has packed it; the container runs on, and nothing else is done to it', async (t) => {
  const { made, take } = cluster()
  const ask = (operation: string, snapshot: string | null = null) =>
    made.propose({
      type: 'ExportRequested',
      atMs: made.nowMs,
      operation,
      container: 'web',
      snapshot,
      upload: 'e'.repeat(32),
    })
  t.match(ask('out', 'none'), { ok: false, error: { error: { code: 'SNAPSHOT_NOT_FOUND' } } })
  t.match(ask('out'), { ok: true, value: { kind: 'export', state: 'running' } })
  t.match(assignmentsOf(made.state, made.container('web'))[0]!.assignment.exportTask, {
    operation: 'out',
    snapshot: null,
  })
  t.match(take('meanwhile'), { ok: false, error: { error: { code: 'BUSY' } } })
  made.settle()
  t.match(made.operation('out'), { state: 'done', parameters: { upload: 'e'.repeat(32), host: 'a' } })
  t.match(made.container('web'), { state: 'running', starts: 1, operation: null })
  t.equal(assignmentsOf(made.state, made.container('web'))[0]!.assignment.exportTask, undefined)
})

t.test('import: a new container that waits for its disk; removed again when that fails', async (t) => {
  const { made } = cluster()
  const { spec } = made.container('web')
  const take = (name: string, start: boolean) =>
    made.propose({
      type: 'ContainerImported',
      atMs: made.nowMs,
      operation: `import-${name}`,
      name,
      spec,
      start,
      disk: { upload: 'e'.repeat(32), host: 'a', sha256: '0'.repeat(64), uidBase: 1_000_000, name: 'old' },
      host: 'b',
      placement: { chosen: 'b', reason: 'the test says so', hosts: [] },
      machineId: '2'.repeat(32),
      network: '10.77.0.0/16',
      gateway: null,
    })
  t.match(take('web', true), { ok: false, error: { error: { code: 'NAME_TAKEN' } } })
  t.match(take('back', true), { ok: true, value: { kind: 'import' } })
  const { origin } = assignmentsOf(made.state, made.container('back'))[0]!.assignment
  t.match(origin, { name: 'old', uidBase: 1_000_000, source: { host: 'a' }, upload: { id: 'e'.repeat(32) } })
  made.settle()
  t.match(made.operation('import-back'), { state: 'done' })
  t.match(made.container('back'), { state: 'running', host: 'b', operation: null })
  take('still', false)
  made.settle()
  t.match(made.operation('import-still'), { state: 'done' })
  t.match(made.container('still'), { state: 'stopped', starts: 0 })
  made.hosts.get('b')!.failures.add('source snapshot')
  take('broken', true)
  made.settle()
  t.match(made.operation('import-broken'), { state: 'failed' })
  t.notOk(made.state.idsByName.has('broken'), 'without its disk it is nothing')
})

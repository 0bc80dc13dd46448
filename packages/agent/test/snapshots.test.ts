// Snapshots, restores and copies as an agent does them, on simulated engines with real files: whole trees, exactly as they were.

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Assignment, SnapshotTask } from '@drover/protocol'
import t from 'tap'
import { addTinyImage, assignmentFor, TestCluster, type TestHost, withoutNats } from './harness.ts'

async function begin(test: Parameters<typeof TestCluster.start>[0], hosts = ['a']) {
  const cluster = await TestCluster.start(test)
  const made: TestHost[] = []
  let image = ''
  for (const name of hosts) {
    image = await addTinyImage(join(cluster.directory, name, 'agent'))
    made.push(await cluster.addHost(name))
  }
  const host = made[0] as TestHost
  cluster.assign('a', assignmentFor('c1', image))
  await cluster.until('it runs', () => cluster.state('a', 'c1') === 'running')
  const upper = host.engine.containers.upper('c1')
  const result = (operation: string, on = 'a') =>
    cluster.report(on)?.snapshots?.find((each) => each.operation === operation)
  const assign = (more: Partial<Assignment>) => cluster.assign('a', assignmentFor('c1', image, more))
  const perform = async (task: Partial<SnapshotTask> & { name: string }, more: Partial<Assignment> = {}) => {
    const snapshotTask: SnapshotTask = { operation: `op-${task.name}`, kind: 'create', memory: false, ...task }
    assign({ snapshots: [], snapshotTask, ...more })
    await cluster.until(`${snapshotTask.operation} has ended`, () => result(snapshotTask.operation) !== undefined)
    return result(snapshotTask.operation)!
  }
  return { cluster, hosts: made, image, upper, assign, perform, result }
}

function makeMess(upper: string): void {
  const at = (name: string) => join(upper, name)
  mkdirSync(at('dir/deep'), { recursive: true })
  writeFileSync(at('dir/file'), 'one')
  execFileSync('ln', [at('dir/file'), at('dir/second')])
  execFileSync('ln', ['-s', '/nowhere', at('link')])
  execFileSync('mkfifo', [at('pipe')])
  execFileSync('truncate', ['-s', '8M', at('sparse')])
  execFileSync('chmod', ['2711', at('dir/deep')])
  if (process.getuid?.() === 0) execFileSync('mknod', [at('whiteout'), 'c', '0', '0'])
}

/** Names, kinds, owners, modes, times, link counts, contents; not the console, to which a running init writes. */
function picture(tree: string): string {
  const facts = execFileSync(
    'find',
    ['.', '-path', './var', '-prune', '-o', '-printf', '%p %y %U:%G %m %n %s %T@ %l\n'],
    {
      cwd: tree,
      encoding: 'utf8',
    },
  )
  const sums = execFileSync('sh', ['-c', 'find . -path ./var -prune -o -type f -print | sort | xargs sha256sum'], {
    cwd: tree,
    encoding: 'utf8',
  })
  return facts.split('\n').sort().join('\n') + sums
}

const snapshotsOf = (upper: string) => {
  const directory = join(dirname(upper), 'snapshots')
  return existsSync(directory) ? readdirSync(directory) : []
}

t.test('snapshot: the tree exactly as it was, while the container runs on', { skip: withoutNats }, async (t) => {
  const { cluster, hosts, upper, perform, assign } = await begin(t)
  makeMess(upper)
  const before = picture(upper)
  t.match(await perform({ name: 'first' }), { state: 'done', error: null, figures: { paused_ms: Number } })
  t.equal(picture(join(dirname(upper), 'snapshots/first/disk')), before)
  const sparse = execFileSync('stat', ['-c', '%b', join(dirname(upper), 'snapshots/first/disk/sparse')])
  t.ok(Number(sparse) < 100, 'holes stay holes')
  t.equal(hosts[0]?.engineState('c1'), 'running')
  assign({ snapshots: ['first'] })
  await cluster.until('it is told', () => cluster.report('a')?.containers[0]?.revision === cluster.index)
  t.same(snapshotsOf(upper), ['first'])
  assign({ snapshots: [] })
  await cluster.until('it is told', () => cluster.report('a')?.containers[0]?.revision === cluster.index)
  t.same(snapshotsOf(upper), [], 'what isn’t listed any more is removed')
})

t.test('restore: stops it, and brings back what was, to the byte', { skip: withoutNats }, async (t) => {
  const { cluster, hosts, upper, perform, assign } = await begin(t)
  makeMess(upper)
  const before = picture(upper)
  await perform({ name: 'was' })
  rmSync(join(upper, 'dir'), { recursive: true })
  writeFileSync(join(upper, 'new'), 'new')
  writeFileSync(join(upper, 'sparse'), 'short')
  const restored = await perform(
    { name: 'was', kind: 'restore', operation: 'back' },
    { snapshots: ['was'], desired: 'stopped' },
  )
  t.match(restored, { state: 'done' })
  t.equal(hosts[0]?.engineState('c1'), 'stopped')
  t.equal(picture(upper), before)
  assign({ snapshots: ['was'] })
  await cluster.until('it runs again', () => cluster.state('a', 'c1') === 'running')
  t.same(snapshotsOf(upper), ['was'], 'and the snapshot can be had again')
  writeFileSync(join(upper, 'dir/second'), 'changed')
  t.equal(readFileSync(join(upper, 'dir/file'), 'utf8'), 'changed', 'two names are one file still')
  const kept = readFileSync(join(dirname(upper), 'snapshots/was/disk/dir/file'), 'utf8')
  t.equal(kept, 'one', 'the snapshot is no part of the disk')
})

t.test(
  'restore of what isn’t there fails by name, and the container is as it was',
  { skip: withoutNats },
  async (t) => {
    const { cluster, upper, perform, assign } = await begin(t)
    makeMess(upper)
    const before = picture(upper)
    const restored = await perform({ name: 'none', kind: 'restore' }, { desired: 'stopped' })
    t.match(restored, { state: 'failed', error: { code: 'SNAPSHOT_NOT_FOUND', message: /has no snapshot none/ } })
    assign({ snapshots: [] })
    await cluster.until('it runs again', () => cluster.state('a', 'c1') === 'running')
    t.equal(picture(upper), before)
  },
)

t.test(
  'with memory: disk and memory of one instant; its processes go on from there',
  { skip: withoutNats },
  async (t) => {
    const { cluster, hosts, upper, perform, assign } = await begin(t)
    const engine = hosts[0]?.engine.containers
    writeFileSync(join(upper, 'file'), 'then')
    t.match(await perform({ name: 'warm', memory: true }), { state: 'done' })
    t.equal(engine?.get('c1').state, 'running', 'it ran on')
    const kept = engine?.pulse('c1') ?? 0
    writeFileSync(join(upper, 'file'), 'now')
    await cluster.until('it counts on', () => (engine?.pulse('c1') ?? 0) > kept + 5)
    const later = engine?.pulse('c1') ?? 0
    const task = { name: 'warm', memory: true, kind: 'restore', operation: 'back' } as const
    t.match(await perform(task, { snapshots: ['warm'], desired: 'stopped' }), { state: 'done' })
    t.equal(engine?.get('c1').state, 'restored', 'frozen until that is committed')
    assign({ snapshots: ['warm'] })
    await cluster.until('it runs', () => cluster.state('a', 'c1') === 'running')
    t.ok((engine?.pulse('c1') ?? 0) < later, 'it counts from where it was')
    t.equal(engine?.get('c1').starts, 1, 'without a start')
    t.equal(readFileSync(join(upper, 'file'), 'utf8'), 'then')
  },
)

t.test(
  'an agent that dies in the middle leaves no half snapshot, and does it again',
  { skip: withoutNats },
  async (t) => {
    const { cluster, hosts, upper, assign, result } = await begin(t)
    makeMess(upper)
    const host = hosts[0] as TestHost
    // Half of one, as a dead agent leaves it, and a container that it had frozen.
    mkdirSync(join(dirname(upper), 'snapshots/.first/disk/rubbish'), { recursive: true })
    await host.agent.stop()
    host.engine.containers.freeze('c1', 1)
    await host.startAgent()
    assign({ snapshots: [], snapshotTask: { operation: 'op', kind: 'create', name: 'first', memory: false } })
    await cluster.until('it is taken', () => result('op')?.state === 'done')
    t.equal(picture(join(dirname(upper), 'snapshots/first/disk')), picture(upper))
    assign({ snapshots: ['first'] })
    await cluster.until('it runs on', () => cluster.state('a', 'c1') === 'running')
    t.same(snapshotsOf(upper), ['first'])
  },
)

t.test('copy: another host fetches the disk; nothing runs before it is there', { skip: withoutNats }, async (t) => {
  const { cluster, hosts, image, upper, perform, result } = await begin(t, ['a', 'b'])
  makeMess(upper)
  mkdirSync(join(upper, 'etc'), { recursive: true })
  writeFileSync(join(upper, 'etc/hostname'), 'name-c1\n')
  writeFileSync(join(upper, 'etc/hosts'), '127.0.1.1 name-c1\n10.0.0.9 mine\n')
  await perform({ name: 'was' })
  cluster.assign('a', assignmentFor('c1', image, { snapshots: ['was'] }))
  writeFileSync(join(upper, 'later'), 'later')
  const b = hosts[1] as TestHost
  const copy = async (container: string, snapshot: string | null) => {
    const operation = `copy-${container}`
    const uidBase = 1_065_536
    const origin = { operation, container: 'c1', name: 'name-c1', snapshot, uidBase, source: cluster.peer('a') }
    cluster.assign('b', assignmentFor(container, image, { origin, snapshots: [] }))
    await cluster.until('it has ended', () => result(operation, 'b') !== undefined)
    return result(operation, 'b')
  }
  t.match(await copy('c2', 'was'), { state: 'done' })
  await cluster.until('it runs', () => cluster.state('b', 'c2') === 'running')
  const disk = b.engine.containers.upper('c2')
  t.equal(readFileSync(join(disk, 'dir/second'), 'utf8'), 'one')
  t.notOk(existsSync(join(disk, 'later')), 'as it was at the snapshot')
  t.notOk(existsSync(join(disk, 'etc/hostname')), 'it gets its own name')
  t.equal(readFileSync(join(disk, 'etc/hosts'), 'utf8'), '127.0.1.1 name-c2\n10.0.0.9 mine\n')
  t.match(await copy('c3', null), { state: 'done' })
  t.ok(existsSync(join(b.engine.containers.upper('c3'), 'later')), 'as it is')
  t.same(snapshotsOf(upper), ['was'], 'what was made for the copying is gone')
  t.equal(hosts[0]?.engineState('c1'), 'running')
  // Again, with a disk of its own by now: only once it is off, and then as the other one is now.
  writeFileSync(join(upper, 'later'), 'now')
  const c3 = (more: object) => cluster.assign('b', assignmentFor('c3', image, { snapshots: [], ...more }))
  c3({ desired: 'stopped' })
  await cluster.until('it is off', () => cluster.state('b', 'c3') === 'stopped')
  writeFileSync(join(b.engine.containers.upper('c3'), 'own'), 'own')
  const twin = { container: 'c1', name: 'name-c1', snapshot: null, uidBase: 1_065_536, source: cluster.peer('a') }
  c3({ desired: 'stopped', origin: { operation: 'refresh-c3', refresh: true, ...twin } })
  await cluster.until('it is up to date', () => result('refresh-c3', 'b') !== undefined)
  t.match(result('refresh-c3', 'b'), { state: 'done' })
  t.equal(readFileSync(join(b.engine.containers.upper('c3'), 'later'), 'utf8'), 'now')
  t.notOk(existsSync(join(b.engine.containers.upper('c3'), 'own')), 'nothing is left of its own')
  t.match(await copy('c4', 'none'), { state: 'failed', error: { code: 'SNAPSHOT_NOT_FOUND' } })
  t.not(cluster.state('b', 'c4'), 'running')
})

t.test(
  'hook: runs inside first; when it fails there is no snapshot, and its words say why',
  { skip: withoutNats },
  async (t) => {
    const { image, upper, perform } = await begin(t)
    const withHook = (hook: string) => ({ spec: { ...assignmentFor('c1', image).spec, snapshots: { hook } } })
    t.match(await perform({ name: 'good' }, withHook('echo flushed > /flushed')), { state: 'done' })
    t.equal(readFileSync(join(dirname(upper), 'snapshots/good/disk/flushed'), 'utf8'), 'flushed\n')
    const failed = await perform({ name: 'bad' }, withHook('echo the database is locked; exit 3'))
    const message = /hook of name-c1 before its snapshot ended with 3: the database is locked/
    t.match(failed, { state: 'failed', error: { code: 'HOOK_FAILED', message } })
    t.notOk(snapshotsOf(upper).includes('bad'))
  },
)

t.test('export: a file of the host from which another makes the same disk', { skip: withoutNats }, async (t) => {
  const { cluster, hosts, image, upper, assign, perform, result } = await begin(t, ['a', 'b'])
  makeMess(upper)
  mkdirSync(join(upper, 'etc'), { recursive: true })
  await perform({ name: 'was' })
  const before = picture(join(dirname(upper), 'snapshots/was/disk'))
  writeFileSync(join(upper, 'later'), 'later')
  const upload = 'e'.repeat(32)
  const file = join(cluster.directory, 'a', 'agent', 'uploads', upload)
  const exported = async (operation: string, snapshot: string | null) => {
    assign({ snapshots: ['was'], exportTask: { operation, upload, snapshot } })
    await cluster.until('it has ended', () => result(operation) !== undefined)
    return result(operation)
  }
  t.match(await exported('out-now', null), { state: 'done', sizeBytes: Number, figures: { export_ms: Number } })
  t.match(execFileSync('tar', ['--list', '--file', file], { encoding: 'utf8' }), /\.\/later\n/)
  t.match(await exported('out', 'was'), { state: 'done', error: null })
  t.same(readdirSync(dirname(file)), [upload], 'nothing half made is left')
  t.equal(hosts[0]?.engineState('c1'), 'running')

  const sha256 = createHash('sha256').update(readFileSync(file)).digest('hex')
  const b = hosts[1] as TestHost
  const take = async (container: string, sum: string) => {
    const origin = {
      operation: `in-${container}`,
      container,
      name: 'name-c1',
      snapshot: null,
      uidBase: 0,
      source: cluster.peer('a'),
      upload: { id: upload, sha256: sum },
    }
    cluster.assign('b', assignmentFor(container, image, { origin, snapshots: [], desired: 'stopped' }))
    await cluster.until('it has ended', () => result(origin.operation, 'b') !== undefined)
    return result(origin.operation, 'b')
  }
  t.match(await take('c2', sha256), { state: 'done' })
  t.equal(picture(b.engine.containers.upper('c2')), before)
  t.match(await take('c3', '0'.repeat(64)), { state: 'failed', error: { code: 'TRANSFER_FAILED', message: /SHA-256/ } })
  if (process.getuid?.() !== 0) return
  const tree = join(cluster.directory, 'with-device')
  mkdirSync(tree)
  execFileSync('mknod', [join(tree, 'disk'), 'b', '8', '0'])
  execFileSync('tar', ['--create', '--file', file, '--directory', tree, '.'])
  const other = createHash('sha256').update(readFileSync(file)).digest('hex')
  t.match(await take('c4', other), { state: 'done' })
  t.notOk(existsSync(join(b.engine.containers.upper('c4'), 'disk')), 'no device comes in that way')
})

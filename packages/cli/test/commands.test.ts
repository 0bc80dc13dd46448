// Commands against a cluster in memory: what they send, print and exit with.

import t from 'tap'
import { fakeCluster, run } from './fake-cluster.ts'
import { container, moveOperation, operation } from './resources.ts'

t.test('ls shows a table, filters, and prints names only with -q', async (t) => {
  const { drover } = await fakeCluster(t)
  const all = await drover(['ls'])
  t.equal(all.exitCode, 0)
  t.match(all.stdout, /^NAME +STATE +HOST +ADDRESS/)
  t.match(all.stdout, /web-1 +running +a +10\.77\.1\.5 +– +64 MiB/, 'what it may use')
  t.equal((await drover(['ls', '--state', 'stopped', '-q'])).stdout, 'web-2\n')
  t.equal((await drover(['ls', '--host', 'a', '--label', 'team=blue', '-q'])).stdout, 'web-1\n')
  t.match((await drover(['ls', '--host', 'a', '--json'])).json(), [{ name: 'web-1' }])
})

t.test('every reading command prints one JSON document with --json', async (t) => {
  const cluster = await fakeCluster(t)
  cluster.operations = [moveOperation({ state: 'done' }, { blackout_ms: 61 })]
  const readings = [
    ['status'],
    ['ls'],
    ['info', 'web-1'],
    ['explain', 'web-1'],
    ['host', 'ls'],
    ['host', 'show', 'a'],
    ['image', 'ls'],
    ['ops', 'ls'],
    ['ops', 'show', 'op-1'],
    ['version'],
    ['completion', 'bash'],
  ]
  for (const args of readings) {
    const { exitCode, stdout, stderr } = await cluster.drover([...args, '--json'])
    t.equal(exitCode, 0, args.join(' '))
    t.doesNotThrow(() => JSON.parse(stdout), args.join(' '))
    t.equal(stderr, '')
  }
})

t.test('status, host ls and explain read well', async (t) => {
  const { drover } = await fakeCluster(t)
  const status = (await drover(['status'])).stdout
  t.match(status, /controllers +c1 \(leader\) · c2/)
  t.match(status, /hosts +1 of 2 ready/)
  t.match(status, /a +ready +1 +█+░+ 1 GiB of 4 GiB/)
  const explained = (await drover(['explain', 'web-1'])).stdout
  t.match(explained, /web-1 was placed on host a: fullest host that fits/)
  t.match(explained, /→ +a +chosen +78 %/)
  t.match(explained, /b +HOST_CORDONED +–/)
  t.match(explained, /last moved .* from b to a: IMBALANCE: b is used to 80 %/)
  t.match(explained, /placed now, it would go to a as well/)
  t.match((await drover(['explain'])).stderr, /name a container, or a launch with --spec FILE/)
})

t.test('info shows placement and the figures of the last move', async (t) => {
  const cluster = await fakeCluster(t)
  cluster.operations = [
    moveOperation({ id: 'op-0', state: 'done', revision: 1 }, { blackout_ms: 99 }),
    moveOperation({ state: 'done', revision: 2, endedAtMs: 300 }, { blackout_ms: 61.8, bytes: 2 ** 20 }),
  ]
  const { stdout } = await cluster.drover(['info', 'web-1'])
  t.match(stdout, /host +a · epoch 3/)
  t.match(stdout, /placed on a: fullest/)
  t.match(stdout, /moved web-1 from a to b in 300 ms · blackout 62 ms · 1 MiB sent/)
  t.notMatch(stdout, /99/)
  t.notMatch(stdout, /killed/)
  const oomKills = { total: 3, last: 'java', lastAtMs: Date.now() - 7_200_000 }
  cluster.containers = cluster.containers.map((each) => ({ ...each, oomKills }))
  t.match((await cluster.drover(['info', 'web-1'])).stdout, /memory +3 killed at its limit, last java 2h ago/)
})

t.test('launch numbers names, sends sizes, and shows where each went and why', async (t) => {
  const cluster = await fakeCluster(t)
  cluster.containers = []
  cluster.onWrite = (_, __, body) => {
    const { name } = body as { name: string }
    cluster.containers.push(container(name, { host: name === 'web-3' ? 'b' : 'a' }))
    return operation({ id: `op-${name}`, kind: 'launch', target: name, state: 'done', endedAtMs: 9 })
  }
  const args = [
    'launch',
    'web',
    '--count',
    '3',
    '--memory',
    '128MiB',
    '--cpu',
    '0.5',
    '--label',
    'team=blue',
    '--label',
    'x=y=z',
  ]
  const { stdout, exitCode } = await cluster.drover(args)
  t.equal(exitCode, 0)
  t.match(stdout, /web-2 +a +10\.77\.1\.5 +fullest host that fits/)
  t.match(stdout, /launched 3 containers in .*: 2 on a, 1 on b/)
  const expected = { memoryBytes: 128 * 2 ** 20, cpuMilli: 500, labels: { team: 'blue', x: 'y=z' } }
  t.same(
    cluster.writes,
    [['POST', '/v1/launches', { launches: ['web-1', 'web-2', 'web-3'].map((name) => ({ name, ...expected })) }]],
    'in one call, so that they are planned together',
  )
})

t.test('launch of several says which one failed, and still launches the others', async (t) => {
  const cluster = await fakeCluster(t)
  cluster.containers = []
  cluster.onWrite = (_, __, body) => {
    const { name } = body as { name: string }
    if (name === 'b1') return { status: 409, code: 'NAME_TAKEN', message: 'launch b1: the name is taken' }
    cluster.containers.push(container(name))
    return operation({ id: `op-${name}`, kind: 'launch', target: name, state: 'done' })
  }
  const { stdout, stderr, exitCode, json } = await cluster.drover(['launch', 'a1', 'b1', '--json'])
  t.equal(exitCode, 1)
  t.match(stderr, /^drover: launch b1: the name is taken\nchoose another name/)
  t.match(json(), [
    { name: 'a1', error: null, container: { name: 'a1' }, operation: { state: 'done' } },
    { name: 'b1', error: { code: 'NAME_TAKEN' }, container: null, operation: null },
  ])
  t.match(stdout, /^\[.*\]\n$/)
})

t.test('rename sends the new name, and refuses one that is none', async (t) => {
  const cluster = await fakeCluster(t)
  t.match(await cluster.drover(['rename', 'web-1', 'shop']), { exitCode: 0, stdout: 'web-1 is named shop now\n' })
  t.same(cluster.writes, [['POST', '/v1/containers/web-1/rename', { name: 'shop' }]])
  t.match(await cluster.drover(['rename', 'web-1', 'Shop']), { exitCode: 2, stderr: /is not a name/ })
  cluster.onWrite = () => ({ status: 409, code: 'NAME_TAKEN', message: 'rename web-1 to web-2: it exists' })
  t.match(await cluster.drover(['rename', 'web-1', 'web-2']), { exitCode: 1, stderr: /rename web-1 to web-2/ })
})

t.test('move tells phases as they end and the blackout at last', async (t) => {
  const cluster = await fakeCluster(t)
  const { migration } = moveOperation()
  const at = (phase: 'preparing' | 'switching') =>
    moveOperation({ phase, migration: { ...migration!, phase, figures: { phase_preparing_ms: 41 } } })
  cluster.onWrite = () => at('preparing')
  cluster.script.set('op-1', [
    at('preparing'),
    at('switching'),
    moveOperation({ state: 'done', endedAtMs: 300 }, { blackout_ms: 61 }),
  ])
  const { stdout, stderr, exitCode } = await cluster.drover(['move', 'web-1', 'b'])
  t.equal(exitCode, 0)
  t.same(cluster.writes, [['POST', '/v1/containers/web-1/move', { host: 'b' }]])
  t.equal(stdout, 'moved web-1 from a to b in 300 ms · blackout 61 ms\n')
  t.match(stderr, /web-1: a → b \(live\)\n +✓ preparing +41 ms .*\n(.*\n)*.*✓ switching +88 ms/)
})

t.test('a move that fails exits with 1 and says why and what next', async (t) => {
  const cluster = await fakeCluster(t)
  cluster.onWrite = () => operation({ kind: 'move' })
  const error = { code: 'CHECKPOINT_FAILED', message: 'CRIU: no' }
  cluster.script.set('op-1', [operation({ kind: 'move', state: 'failed', error })])
  const { stdout, stderr, exitCode } = await cluster.drover(['move', 'web-1'])
  t.equal(exitCode, 1)
  t.equal(stdout, '')
  t.match(stderr, /drover: move web-1: CRIU: no\nsee it: drover ops show op-1/)
})

t.test('evacuate prints each move once and sums up', async (t) => {
  const cluster = await fakeCluster(t)
  const moved = (id: string, target: string, blackout: number) =>
    moveOperation({ id, target, parent: 'op-1', state: 'done', endedAtMs: 400 }, { blackout_ms: blackout })
  const failed = moveOperation({
    id: 'm3',
    target: 'web-2',
    parent: 'op-1',
    state: 'failed',
    error: { code: 'X', message: 'first try' },
  })
  cluster.operations = [moved('m1', 'web-1', 50), failed, moved('m4', 'web-2', 70)]
  const begun = operation({
    kind: 'evacuate',
    target: 'a',
    phase: 'moving',
    progress: { done: 0, total: 2, message: '' },
  })
  const ended = { ...begun, state: 'done' as const, progress: { done: 2, total: 2, message: '' }, endedAtMs: 4200 }
  cluster.onWrite = () => begun
  cluster.script.set('op-1', [begun, ended])
  const { stdout, exitCode } = await cluster.drover(['host', 'evacuate', 'a'])
  t.equal(exitCode, 0)
  t.equal(stdout.match(/web-1/g)?.length, 1)
  t.match(stdout, /✗ web-2 .* first try/)
  t.match(stdout, /host a is empty: 2 moved, 0 failed in 4.2 s · blackout median 60 ms, max 70 ms/)
  cluster.script.set('op-1', [begun, ended])
  const { json } = await cluster.drover(['host', 'evacuate', 'a', '--json'])
  t.match(json(), {
    id: 'op-1',
    state: 'done',
    moves: [{}, {}, {}],
    summary: { moved: 2, failed: 0, blackoutMsMax: 70 },
  })
})

t.test('--no-wait gives the operation at once', async (t) => {
  const cluster = await fakeCluster(t)
  cluster.onWrite = () => operation()
  t.match((await cluster.drover(['start', 'web-1', '--no-wait', '--json'])).json(), [
    { operation: { state: 'running' } },
  ])
  t.equal((await cluster.drover(['move', 'web-1', '--no-wait'])).stdout, 'moving web-1, operation op-1\n')
})

t.test('restart and stop: with time to shut down, or at once, not both', async (t) => {
  const cluster = await fakeCluster(t)
  cluster.onWrite = () => operation()
  t.match(await cluster.drover(['restart', 'web-1', '--force', '--no-wait']), { exitCode: 0 })
  t.match(await cluster.drover(['restart', 'web-1', '--grace', '5s', '--no-wait']), { exitCode: 0 })
  t.match(await cluster.drover(['stop', 'web-1', '--force', '--no-wait']), { exitCode: 0 })
  t.same(cluster.writes, [
    ['POST', '/v1/containers/web-1/restart', { timeoutMs: 0 }],
    ['POST', '/v1/containers/web-1/restart', { timeoutMs: 5000 }],
    ['POST', '/v1/containers/web-1/stop', { timeoutMs: 0 }],
  ])
  const both = await cluster.drover(['restart', 'web-1', '--force', '--grace', '5s'])
  t.match(both, { exitCode: 2, stderr: /--force.*--grace/ })
})

t.test('--timeout ends the wait with 124 and says that it goes on', async (t) => {
  const cluster = await fakeCluster(t)
  cluster.onWrite = () => operation()
  cluster.operations = [operation()]
  const { exitCode, stderr } = await cluster.drover(['stop', 'web-1', '--grace', '5s', '--timeout', '40ms'])
  t.equal(exitCode, 124)
  t.match(stderr, /it goes on\nwait on: drover ops wait op-1; or stop it: drover ops cancel op-1/)
  t.same(cluster.writes, [['POST', '/v1/containers/web-1/stop', { timeoutMs: 5000 }]])
})

t.test('Ctrl-C during a wait says what goes on and how to stop it', async (t) => {
  const cluster = await fakeCluster(t)
  cluster.onWrite = () => operation({ kind: 'move' })
  cluster.operations = [operation({ kind: 'move' })]
  let interrupt: (name: NodeJS.Signals) => void = () => {}
  const running = cluster.drover(['move', 'web-1'], { onStart: (signal) => (interrupt = signal) })
  while (cluster.writes.length === 0) await new Promise((resolve) => setImmediate(resolve))
  const pressing = setInterval(() => interrupt('SIGINT'), 5)
  const { exitCode, stderr } = await running
  clearInterval(pressing)
  t.equal(exitCode, 130)
  t.equal(stderr.match(/goes on/g)?.length, 1)
  t.match(stderr, /interrupted; move web-1 goes on\nwatch it: drover ops wait op-1\nstop it: +drover ops cancel op-1/)
})

t.test('ops wait and cancel', async (t) => {
  const cluster = await fakeCluster(t)
  cluster.script.set('op-1', [operation(), operation({ state: 'done', endedAtMs: 1500 })])
  t.equal((await cluster.drover(['ops', 'wait', 'op-1'])).stdout, 'start web-1 done after 1.5 s\n')
  cluster.onWrite = () => operation({ state: 'cancelled' })
  const cancelled = await cluster.drover(['ops', 'cancel', 'op-1'])
  t.equal(cancelled.stdout, 'start web-1 cancelled\n')
  t.equal(cancelled.exitCode, 0)
  t.equal((await cluster.drover(['ops', 'wait', 'op-9'])).exitCode, 1)
})

t.test('events shows what is remembered, the last ones with --tail, and JSON lines', async (t) => {
  const cluster = await fakeCluster(t)
  const event = (id: number) => ({
    id,
    atMs: 0,
    kind: 'container.running',
    target: 'web-1',
    message: `web-1 runs ${id}`,
    operation: null,
  })
  cluster.events = [event(1), event(2), event(3)]
  t.match((await cluster.drover(['events'])).stdout, /container\.running +web-1 runs 1\n.*\n.*runs 3\n$/)
  const lines = (await cluster.drover(['events', '--tail', '2', '--json'])).stdout.trimEnd().split('\n')
  t.match(
    lines.map((line) => JSON.parse(line)),
    [{ id: 2 }, { id: 3 }],
  )
})

t.test('logs prints the console, its last lines, and JSON lines', async (t) => {
  const { drover } = await fakeCluster(t)
  t.equal((await drover(['logs', 'web-1'])).stdout, 'one\ntwo\nthree\n')
  t.equal((await drover(['logs', 'web-1', '--tail', '2'])).stdout, 'two\nthree\n')
  t.equal((await drover(['logs', 'web-1', '--tail', '1', '--json'])).stdout, '{"line":"three"}\n')
})

const usageErrors: [string, string[], RegExp][] = [
  ['an unknown command', ['lunch'], /unknown command 'lunch'\n\(Did you mean launch\?\)/],
  ['an unknown option', ['ls', '--hosts', 'a'], /unknown option '--hosts'/],
  ['a missing argument', ['launch'], /missing required argument 'name'\nsee: drover launch --help/],
  ['a name that is none', ['info', 'Web_1'], /"Web_1" is not a name/],
  ['a name with a path', ['delete', '../../hosts'], /is not a name/],
  ['a broken size', ['launch', 'web', '--memory', '64Mib!'], /--memory: "64Mib!" is not a size/],
  ['a broken share', ['launch', 'web', '--cpu', 'lots'], /--cpu: "lots" is not a share of cores/],
  ['a count of nothing', ['launch', 'web', '--count', '0'], /--count: "0" is not a whole number from 1/],
  ['a count for several names', ['launch', 'a', 'b', '--count', '2'], /--count takes one name/],
  ['a broken pair', ['launch', 'web', '--env', '=x'], /not of the form KEY=VALUE/],
  ['a broken timeout', ['start', 'web', '--timeout', 'soon'], /--timeout: "soon" is not a duration/],
  [
    'a user that is neither a name nor numeric',
    ['exec', 'web-1', '-u', '1:x', '--', 'id'],
    /"1:x" is not a numeric user/,
  ],
  ['an unknown recipe', ['image', 'build', 'gentoo'], /Allowed choices are busybox, debian/],
  ['a shell for a program', ['shell', 'web-1', '--json'], /drover exec web-1 --json/],
]
for (const [what, args, message] of usageErrors) {
  t.test(`${what} is a usage error: 2, and nothing is sent`, async (t) => {
    const cluster = await fakeCluster(t)
    const { exitCode, stderr, stdout } = await cluster.drover(args)
    t.equal(exitCode, 2)
    t.match(stderr, /^drover: /)
    t.match(stderr, message)
    t.equal(stdout, '')
    t.same(cluster.writes, [])
  })
}

t.test('an operating error exits with 1, with a hint; with --json it is on stdout too', async (t) => {
  const { drover } = await fakeCluster(t)
  const { exitCode, stderr, stdout } = await drover(['info', 'web-9'])
  t.equal(exitCode, 1)
  t.equal(stderr, 'drover: no web-9\nsee which containers there are: drover ls\n')
  t.equal(stdout, '')
  t.match((await drover(['info', 'web-9', '--json'])).json(), { error: { code: 'CONTAINER_NOT_FOUND' } })
})

t.test('without a configuration it says to run drover up', async (t) => {
  const { exitCode, stderr } = await run(['ls'], { DROVER_CONFIG: '/nonexistent/client.json' })
  t.equal(exitCode, 1)
  t.match(stderr, /\/nonexistent\/client.json .*\n.*drover up/)
})

t.test('help and version exit with 0, no command at all with 2', async (t) => {
  for (const args of [['--help'], ['help'], ['host', 'evacuate', '--help'], ['--version']]) {
    const { exitCode, stdout } = await run(args, {})
    t.equal(exitCode, 0, args.join(' '))
    t.not(stdout, '')
  }
  t.equal((await run([], {})).exitCode, 2)
})

t.test('host remove names the containers that are lost with a dead host', async (t) => {
  const cluster = await fakeCluster(t)
  const removed = (message: string) => {
    cluster.onWrite = () => operation({ kind: 'host-remove', state: 'done', progress: { done: 1, total: 1, message } })
  }
  removed('removed')
  t.equal(
    (await cluster.drover(['host', 'remove', 'b'])).stdout,
    'host b was removed; on the machine itself: drover down\n',
  )
  removed('removed; lost: db (and 2 snapshots), web')
  const { stdout } = await cluster.drover(['host', 'remove', 'b', '--force'])
  t.equal(stdout, 'host b was removed; lost: db (and 2 snapshots), web\n')
})

// The simulated engine keeps the promises of the socket protocol: states, idempotence, epochs, adoption, exec, checkpoint
// and restore, and refusals that change nothing.

import { rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { FrameType, maxFrameBytes } from '@drover/protocol'
import t from 'tap'
import { SimulatedEngine } from '../src/simulated-engine/index.ts'
import { RawEngineClient } from './raw-engine-client.ts'
import { at, growsBeyond, run, setUp } from './simulated-engine-fixture.ts'

t.test('a container goes through its life', async (t) => {
  const { client, spec } = await setUp(t)
  const created = await client.call('create', { spec: spec() })
  t.match(created.result, { state: 'created', epoch: 1, initPid: null, starts: 0, exit: null })
  const started = await client.call('start', at(1))
  t.match(started.result, { state: 'running', starts: 1 })
  t.type(started.result.initPid, 'number')
  t.same((await client.call('start', at(1))).result.initPid, started.result.initPid, 'a repeated start starts nothing')
  t.equal((await client.call('freeze', at(1))).result.state, 'frozen')
  t.equal((await client.call('thaw', at(1))).result.state, 'running')
  const stopped = await client.call('stop', { ...at(1), timeoutMs: 1000 })
  t.match(stopped.result, { state: 'stopped', initPid: null, exit: { reason: 'poweroff' } })
  t.match((await client.call('start', at(1))).result, { state: 'running', starts: 2 })
  t.same((await client.call('delete', at(1))).result, null)
  t.same((await client.call('delete', at(1))).result, null, 'deleting again is no error')
  t.same((await client.call('list')).result, { containers: [] })
  t.equal((await client.call('get', { container: 'c1' })).error?.code, 'CONTAINER_NOT_FOUND')
})

t.test('create: an existing one of the same epoch is kept', async (t) => {
  const { client, spec } = await setUp(t)
  await run(client, spec())
  t.match((await client.call('create', { spec: spec() })).result, { state: 'running', starts: 1 })
})

t.test('an older epoch is refused by every command and changes nothing; a newer one is recorded', async (t) => {
  const { client, spec, directory } = await setUp(t)
  await run(client, spec({ epoch: 5 }), 5)
  const before = (await client.call('get', { container: 'c1' })).result
  const commands: [string, object][] = [
    ['start', {}],
    ['stop', { timeoutMs: 0 }],
    ['kill', { signal: 9 }],
    ['freeze', {}],
    ['thaw', {}],
    ['delete', {}],
    ['checkpoint', { directory: join(directory, 'images') }],
    ['restore', { directory: join(directory, 'images') }],
    ['release', {}],
  ]
  for (const [method, more] of commands) {
    t.equal((await client.call(method, { ...at(4), ...more })).error?.code, 'STALE_EPOCH', method)
  }
  t.match((await client.call('get', { container: 'c1' })).result, { state: before.state, initPid: before.initPid })
  await client.call('freeze', at(6))
  t.equal((await client.call('thaw', at(5))).error?.code, 'STALE_EPOCH')
})

t.test('a restarted engine adopts: same init, state and counter', async (t) => {
  const { client, spec, engine, config } = await setUp(t)
  const { initPid } = await run(client, spec())
  await client.call('create', { spec: spec({ container: 'c2', name: 'web-2' }) })
  await growsBeyond(engine, 'c1', 0)
  const counted = engine.containers.pulse('c1')
  await engine.close()
  const next = new SimulatedEngine(config)
  await next.start()
  t.teardown(() => next.close())
  const again = new RawEngineClient(config.socket)
  t.teardown(() => again.close())
  const { containers } = (await again.call('list')).result
  t.match(
    containers.find((c: { container: string }) => c.container === 'c1'),
    { state: 'running', initPid, starts: 1 },
  )
  t.match(
    containers.find((c: { container: string }) => c.container === 'c2'),
    { state: 'created' },
  )
  t.ok(next.containers.pulse('c1') >= counted, 'the counter went on')
})

t.test('memory survives checkpoint, restore and release on another engine, and stands still in between', async (t) => {
  const source = await setUp(t)
  const destination = await setUp(t)
  const images = join(source.directory, 'images')
  const { startedAtMs } = await run(source.client, source.spec())
  await growsBeyond(source.engine, 'c1', 0)

  const dumped = await source.client.call('checkpoint', { ...at(1), directory: images })
  t.match(dumped.result, { container: { state: 'checkpointed' }, figures: { dump_ms: Number, frozenAtNs: Number } })
  t.same(
    (await source.client.call('checkpoint', { ...at(1), directory: images })).result.figures,
    dumped.result.figures,
  )
  t.equal(statSync(images).mode & 0o777, 0o755)
  const atDump = source.engine.containers.pulse('c1')

  const spec = destination.spec({ epoch: 2 })
  await destination.client.call('prepareRestore', { spec, startedAtMs, starts: 1 })
  const restored = await destination.client.call('restore', { ...at(2), directory: images })
  t.match(restored.result, {
    container: { state: 'restored', startedAtMs, starts: 1 },
    figures: { restore_ms: Number },
  })
  t.equal(destination.engine.containers.pulse('c1'), atDump, 'no tick between dump and release')
  const released = await destination.client.call('release', at(2))
  t.match(released.result, {
    container: { state: 'running', startedAtMs, starts: 1 },
    figures: { resumedAtNs: Number },
  })
  await growsBeyond(destination.engine, 'c1', atDump)
  t.same((await source.client.call('delete', at(1))).result, null)
})

t.test('an aborted move: the source thaws and goes on where it was', async (t) => {
  const { client, spec, engine, directory } = await setUp(t)
  await run(client, spec())
  await growsBeyond(engine, 'c1', 0)
  await client.call('checkpoint', { ...at(1), directory: join(directory, 'images') })
  const atDump = engine.containers.pulse('c1')
  t.equal((await client.call('thaw', at(1))).result.state, 'running')
  await growsBeyond(engine, 'c1', atDump)
})

t.test('restore: damaged images are refused by name', async (t) => {
  const source = await setUp(t)
  await run(source.client, source.spec())
  const images = join(source.directory, 'images')
  await source.client.call('checkpoint', { ...at(1), directory: images })
  const damage: [string, () => void, RegExp][] = [
    ['truncated pages', () => truncateSync(join(images, 'pages-1.img'), 100), /pages-1\.img/],
    ['changed core', () => writeFileSync(join(images, 'core-1.img'), '{}'), /core-1\.img/],
    ['missing inventory', () => rmSync(join(images, 'inventory.img')), /inventory\.img/],
  ]
  for (const [name, harm, message] of damage) {
    harm()
    const { client, spec } = await setUp(t)
    await client.call('prepareRestore', { spec: spec({ epoch: 2 }), startedAtMs: 1, starts: 1 })
    const answer = await client.call('restore', { ...at(2), directory: images })
    t.match(answer.error, { code: 'RESTORE_FAILED', message }, name)
    t.equal((await client.call('get', { container: 'c1' })).result.initPid, null, 'nothing runs')
  }
})

t.test('a restore that was not prepared, and commands in the wrong state, are refused', async (t) => {
  const { client, spec } = await setUp(t)
  await client.call('create', { spec: spec() })
  for (const [method, more] of [
    ['freeze', {}],
    ['thaw', {}],
    ['release', {}],
    ['checkpoint', { directory: '/nonexistent/images' }],
    ['restore', { directory: '/nonexistent/images' }],
  ] as const) {
    t.equal((await client.call(method, { ...at(1), ...more })).error?.code, 'WRONG_STATE', method)
  }
})

t.test('a reboot inside starts init again; a poweroff inside ends it, and wait tells', async (t) => {
  const { client, spec, exec } = await setUp(t)
  const { initPid } = await run(client, spec())
  const reboot = await exec(['reboot'])
  await reboot.exitCode()
  const rebooted = (await client.call('get', { container: 'c1' })).result
  t.match(rebooted, { state: 'running', starts: 2, exit: { reason: 'reboot' } })
  t.not(rebooted.initPid, initPid)
  const waiting = client.call('wait', { container: 'c1', timeoutMs: 5000 })
  await exec(['poweroff'])
  t.match((await waiting).result, { state: 'stopped', exit: { reason: 'poweroff' } })
})

t.test('wait answers with the present state at its deadline', async (t) => {
  const { client, spec } = await setUp(t)
  await run(client, spec())
  t.equal((await client.call('wait', { container: 'c1', timeoutMs: 1 })).result.state, 'running')
})

t.test('subscribers hear of every change', async (t) => {
  const { client, spec, connect } = await setUp(t)
  const listener = connect()
  t.same((await listener.call('subscribe')).result, null)
  await run(client, spec())
  await client.call('delete', at(1))
  const states = () => listener.answers().flatMap((answer) => (answer.event ? [answer.container?.state] : []))
  await listener.until(() => states().length >= 3)
  t.same(states(), ['created', 'running', 'stopped'])
})

t.test('logs: the console, from an offset, from the end, at most the limit', async (t) => {
  const { client, spec } = await setUp(t)
  await run(client, spec())
  const text = (answer: { result?: { dataBase64: string } }) =>
    Buffer.from(answer.result!.dataBase64, 'base64').toString()
  const whole = await client.call('logs', { container: 'c1', offset: 0, limit: 1000 })
  t.equal(text(whole), 'init started (/sbin/init)\n')
  t.match(whole.result, { offset: 0, nextOffset: 26, size: 26 })
  t.equal(text(await client.call('logs', { container: 'c1', offset: -7, limit: 4 })), '/ini')
  t.equal(text(await client.call('logs', { container: 'c1', offset: 999, limit: 4 })), '')
  t.equal((await client.call('logs', { container: 'c1', offset: 0, limit: 1 << 30 })).error?.code, 'BAD_REQUEST')
})

t.test('requests that break a rule are refused with the field and leave the engine well', async (t) => {
  const { client, spec } = await setUp(t)
  const cases: [string, unknown, RegExp][] = [
    ['fly', {}, /unknown method fly/],
    ['toString', {}, /unknown method/],
    ['start', {}, /container must be/],
    ['start', { container: '../etc', epoch: 1 }, /container must be/],
    ['start', { container: 'c1', epoch: '1' }, /epoch must be an integer/],
    ['start', { container: 'c1', epoch: 1, force: true }, /unknown field force/],
    ['start', [], /must be an object/],
    ['create', { spec: { ...spec(), rootfs: 'relative' } }, /rootfs must be an absolute path/],
    ['checkpoint', { ...at(1), directory: 7 }, /directory must be/],
  ]
  for (const [method, params, message] of cases) {
    t.match((await client.call(method, params)).error, { code: 'BAD_REQUEST', message }, `${method} ${message}`)
  }
  t.match((await client.call('hello', { protocolVersion: 99 })).error, { code: 'VERSION_MISMATCH' })
  t.match((await client.call('hello', { protocolVersion: 1 })).result, { criu: { usable: true } })
  t.equal((await client.call('list')).result.containers.length, 0)
})

t.test('garbage gets an error, oversized frames end the connection, and others go on', async (t) => {
  const { client, connect } = await setUp(t)
  const babbling = connect()
  babbling.frame(FrameType.json, 'not json')
  babbling.frame(FrameType.json, 'null')
  babbling.frame(FrameType.stdin, 'hello')
  await babbling.until(() => babbling.answers().length === 3)
  t.same(
    babbling.answers().map((answer) => answer.error?.code),
    ['BAD_REQUEST', 'BAD_REQUEST', 'BAD_REQUEST'],
  )
  const huge = connect()
  const header = Buffer.alloc(4)
  header.writeUInt32LE(maxFrameBytes + 1)
  huge.socket.write(header)
  await t.rejects(
    huge.until(() => false),
    /closed/,
  )
  t.match(huge.output(FrameType.error), /TOO_LARGE/)
  t.ok((await client.call('list')).result)
})

t.test('ordered faults strike as often as was asked, and change nothing', async (t) => {
  const { client, spec, directory } = await setUp(t)
  await run(client, spec())
  const fault = { method: 'checkpoint', container: 'c1', code: 'CHECKPOINT_FAILED', message: 'pipe too full', times: 1 }
  await client.call('simulate', fault)
  const params = { ...at(1), directory: join(directory, 'images') }
  t.match((await client.call('checkpoint', params)).error, { code: 'CHECKPOINT_FAILED', message: 'pipe too full' })
  t.equal((await client.call('get', { container: 'c1' })).result.state, 'running')
  t.equal((await client.call('checkpoint', params)).result.container.state, 'checkpointed')
})

t.test('the socket is its owner’s alone', async (t) => {
  const { config } = await setUp(t)
  t.equal(statSync(config.socket).mode & 0o777, 0o600)
})

t.test('at the limit of memory a process is killed, or everything stands still until there is more', async (t) => {
  const { client, spec, exec } = await setUp(t)
  const limits = { ...spec().limits, memoryBytes: 8 << 20 }
  await run(client, spec())
  const update = (more: object) => client.call('update', { ...at(1), limits: { ...limits, ...more } })
  await update({})
  const renamed = { ...at(1), limits, name: 'shop' }
  t.match((await client.call('update', renamed)).result, { name: 'shop' })
  t.match((await client.call('update', { ...renamed, name: null })).result, { name: 'shop' }, 'null: it stays')
  t.match(await client.call('update', { ...renamed, name: 'A' }), { error: { code: 'BAD_REQUEST' } })
  const hog = async () => (await exec(['hog', String(20 << 20)])).exitCode()
  t.equal(await hog(), 137)
  t.match((await client.call('get', { container: 'c1' })).result, { state: 'running', memory: { oomKills: 1 } })
  await update({ memoryPolicy: 'freeze' })
  await exec(['hog', String(20 << 20)])
  await client.call('wait', { container: 'c1', timeoutMs: 1 })
  t.match((await client.call('get', { container: 'c1' })).result, { state: 'frozen', memory: { frozenAtLimit: true } })
  t.match((await update({ memoryPolicy: 'freeze', memoryBytes: 64 << 20 })).result, {
    state: 'running',
    memory: { frozenAtLimit: false },
    memoryBytes: 21 << 20,
  })
})

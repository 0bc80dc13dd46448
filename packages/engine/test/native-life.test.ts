// The life of containers in the real engine: start, freeze, stop, power off, reboot, and what a start that fails leaves.

import type { DroverError } from '@drover/protocol'
import t from 'tap'
import type { EngineClient, EngineContainer } from '../src/index.ts'
import { reasonToSkip } from './engine-program.ts'
import { sanitized, type TestHost, until } from './native-hosts.ts'
import { OneHost } from './one-host.ts'
import { sh } from './run-inside.ts'

let stage: OneHost
let host: TestHost
let client: EngineClient

const state = (container: string): Promise<EngineContainer> => client.call('get', { container })

t.test('the life of containers in the native engine', { skip: reasonToSkip }, async (t) => {
  stage = await OneHost.make('a', 67)
  t.teardown(() => stage.network.close())
  host = stage.host
  client = stage.client

  await t.test('starts a container with its own pids, name, address, ids and console', async (t) => {
    const spec = await stage.startedFor(t)
    const running = await state(spec.container)
    t.match(running, { state: 'running', starts: 1, epoch: 1, exit: null, name: spec.name })
    t.ok(running.initPid && running.startedAtMs)
    const own = host.hierarchiesOf(spec.container)
    t.not(own.length, 0)
    const unused = ['freezer', 'systemd', 'cpuset', 'devices']
    if (own.includes('unified'))
      t.notOk(
        own.some((name) => unused.includes(name)),
        'none where nothing is asked of it',
      )
    t.equal(await sh(client, spec.container, 'cat /proc/1/comm'), 'init')
    t.match(await sh(client, spec.container, 'cat /proc/1/cgroup'), /^(\S+:\/\n?)+$/, 'it sees no cgroup above its own')
    t.equal(await sh(client, spec.container, 'hostname; cat /etc/hostname'), `${spec.name}\n${spec.name}`)
    t.equal(await sh(client, spec.container, 'cat /etc/machine-id'), spec.identity.machineId)
    t.match(
      await sh(client, spec.container, 'ip addr show eth0'),
      new RegExp(`${spec.identity.mac}[^]*${spec.identity.ipv4}`),
    )
    t.match(await sh(client, spec.container, 'ip addr show lo'), 'LOWER_UP')
    t.notMatch(await sh(client, spec.container, 'ip addr show eth0'), 'inet6', 'no address that nobody gave it')
    t.same((await sh(client, spec.container, 'cat /proc/self/uid_map')).split(/\s+/), [
      '0',
      `${spec.identity.uidBase}`,
      '65536',
    ])
    const log = await until('the console log', async () => {
      const part = await client.call('logs', { container: spec.container, offset: 0, limit: 1000 })
      return Buffer.from(part.dataBase64, 'base64').toString().includes('\n') && part
    })
    t.equal(Buffer.from(log.dataBase64, 'base64').toString(), 'hello from init\n')
    t.match(await client.call('logs', { container: spec.container, offset: -5, limit: 1000 }), { offset: 11, size: 16 })
    const { containers } = await client.call('list', {})
    t.same(
      containers.map((c) => c.container),
      [spec.container],
    )
  })

  await t.test('two containers and the host reach each other over the bridge', async (t) => {
    const one = await stage.startedFor(t)
    const two = await stage.startedFor(t)
    const address = two.identity.ipv4.split('/')[0]
    t.match(await sh(client, one.container, `ping -c 1 -W 5 ${address}`), '1 packets received')
  })

  await t.test('freeze holds every process still until thaw', async (t) => {
    const container = await stage.startFor(t)
    await sh(client, container, 'while true; do true; done </dev/null >/dev/null 2>&1 &')
    t.equal((await client.call('freeze', { container, epoch: 1 })).state, 'frozen')
    t.equal((await client.call('freeze', { container, epoch: 1 })).state, 'frozen', 'a second time is no error')
    const before = (await state(container)).cpuUsec
    await t.rejects(sh(client, container, 'true'), { code: 'WRONG_STATE' })
    await client.call('wait', { container, timeoutMs: 200 })
    t.equal((await state(container)).cpuUsec, before)
    t.equal((await client.call('thaw', { container, epoch: 1 })).state, 'running')
    await until('it to run again', async () => (await state(container)).cpuUsec > before)
  })

  await t.test('power off, reboot, exit and kill are told apart', async (t) => {
    const container = await stage.startFor(t)
    await sh(client, container, 'poweroff -f')
    t.match(await client.call('wait', { container, timeoutMs: 10_000 }), {
      state: 'stopped',
      exit: { reason: 'poweroff' },
      initPid: null,
    })
    t.match(await client.call('start', { container, epoch: 1 }), { state: 'running', starts: 2 })
    await sh(client, container, 'echo kept > /root/kept; reboot -f')
    const rebooted = await until('the reboot', async () => {
      const now = await state(container)
      return now.starts === 3 && now.state === 'running' && now
    })
    t.match(rebooted, { exit: { reason: 'reboot' } })
    t.equal(await sh(client, container, 'cat /root/kept'), 'kept', 'the disk outlives a reboot')
    t.match(await client.call('kill', { container, epoch: 1, signal: 9 }), {
      state: 'stopped',
      exit: { reason: 'killed', status: 9 },
    })
    const once = await stage.startedFor(t, { init: ['/bin/sh', '-c', 'exit 3'] })
    t.match(await client.call('wait', { container: once.container, timeoutMs: 10_000 }), {
      exit: { reason: 'exit', status: 3 },
    })
  })

  await t.test('stop asks init to power off, and kills it at the deadline', async (t) => {
    const polite = await stage.startedFor(t)
    t.match(await client.call('stop', { container: polite.container, epoch: 1, timeoutMs: 20_000 }), {
      state: 'stopped',
      exit: { reason: 'poweroff' },
    })
    const deaf = await stage.startedFor(t, { init: ['/bin/sh', '-c', 'trap "" TERM; while true; do sleep 1; done'] })
    t.match(await client.call('stop', { container: deaf.container, epoch: 1, timeoutMs: 50 }), {
      state: 'stopped',
      exit: { reason: 'killed', status: 9 },
    })
    const frozen = await stage.startedFor(t)
    await client.call('freeze', { container: frozen.container, epoch: 1 })
    t.match(await client.call('stop', { container: frozen.container, epoch: 1, timeoutMs: 20_000 }), {
      state: 'stopped',
    })
  })

  await t.test('subscribers hear of every change', async (t) => {
    const states: string[] = []
    t.teardown(client.onEvent((event) => states.push(event.container.state)))
    const container = await stage.startFor(t)
    await client.call('kill', { container, epoch: 1, signal: 9 })
    await until('three events', () => states.length >= 3)
    t.same(states, ['created', 'running', 'stopped'])
  })

  await t.test('a start that fails says why and can be repeated', async (t) => {
    const spec = stage.nextSpec({ init: ['/no/such/init'] })
    const { container } = spec
    await client.call('create', { spec })
    t.teardown(() => client.call('delete', { container, epoch: 1 }))
    await t.rejects(client.call('start', { container, epoch: 1 }), {
      code: 'ENGINE_FAILED',
      message: /run its init \/no\/such\/init: No such file/,
    })
    t.match(await state(container), { state: 'created', initPid: null, starts: 0 })
    await t.rejects(client.call('create', { spec: stage.nextSpec({ rootfs: '/no/such/image' }) }), {
      code: 'IMAGE_NOT_FOUND',
    })
  })

  await t.test('many at once: each gets its answer, and nothing is left', async (t) => {
    const specs = Array.from({ length: 12 }, () => stage.nextSpec())
    const image = await Promise.all(
      specs.map(async (spec) => {
        await client.call('create', { spec })
        await client.call('start', { container: spec.container, epoch: 1 })
        const said = await sh(client, spec.container, 'hostname')
        await client.call('delete', { container: spec.container, epoch: 1 })
        return said
      }),
    ).catch((error: DroverError) => error.message)
    t.same(
      image,
      specs.map((spec) => spec.name),
    )
    t.same((await client.call('list', {})).containers, [])
    t.same(host.leftovers(), [], 'nor of any container of this test')
    const hello = await client.call('hello', { protocolVersion: 1 })
    t.ok(sanitized || hello.residentBytes < 16 << 20, `the engine takes ${hello.residentBytes} bytes`)
  })
})

// What runs only under a lease: it stands still and is off the network when the lease is over, whoever else has died, and goes on as the
// same processes when the lease is back.

import { existsSync, mkdirSync } from 'node:fs'
import { uptime } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { EngineClient, EngineLimits, EngineSpec } from '../src/index.ts'
import { makeEngineImage } from './engine-image.ts'
import { type TestHost, TestNetwork, until } from './native-hosts.ts'

const repository = fileURLToPath(new URL('../../..', import.meta.url))
const binary = process.env.DROVER_ENGINE ?? join(repository, 'native/engine/build/drover-engine')
const reasonToSkip =
  process.getuid?.() !== 0
    ? 'needs root'
    : !existsSync(binary)
      ? `needs the native engine: ${binary} is not built`
      : false

const limits: EngineLimits = { cpuMilli: 0, memoryBytes: 0, diskBytes: 0, pids: 0, leased: true }
const inMs = (ms: number) => Math.round(uptime() * 1000) + ms
const c1 = { container: 'c1', epoch: 1 }

t.test('native lease', { skip: reasonToSkip }, async (t) => {
  const network = await TestNetwork.make('10.77.0.9/16')
  mkdirSync(join(network.directory, 'image'))
  t.teardown(() => network.close())
  makeEngineImage(join(network.directory, 'image'))
  const host: TestHost = await network.addHost('a', { binary, criu: null })
  let client: EngineClient = await host.startEngine()
  const spec: EngineSpec = {
    container: 'c1',
    name: 'leased',
    epoch: 1,
    rootfs: join(network.directory, 'image'),
    init: ['/sbin/init'],
    environment: {},
    limits,
    identity: {
      serial: 1,
      uidBase: 1_000_000,
      mac: '02:00:00:00:05:01',
      ipv4: '10.77.1.1/16',
      gateway: null,
      machineId: '1'.padStart(32, '0'),
    },
  }
  const seen = () => client.call('get', { container: 'c1' })
  const lease = (ms: number, containers: Record<string, number> = { c1: 1 }) =>
    client.call('lease', { untilMs: inMs(ms), containers })
  await client.call('create', { spec })

  await t.test('without a lease, or with one that doesn’t name it, it isn’t started', async (t) => {
    await t.rejects(client.call('start', c1), { code: 'WRONG_STATE' })
    await lease(100, {})
    await t.rejects(client.call('start', c1), { code: 'WRONG_STATE' })
    await lease(100, { c1: 2 })
    await t.rejects(client.call('start', c1), { code: 'WRONG_STATE' }, 'that is another epoch')
  })

  let pid: number | null = null
  await t.test('when its lease is over it stands still, and nothing thaws it', async (t) => {
    await lease(15_000)
    pid = (await client.call('start', c1)).initPid
    t.match(await seen(), { state: 'running', leased: true, fenced: false })
    await until('it to be frozen', async () => (await seen()).fenced === true, 60_000)
    t.match(await seen(), { state: 'frozen', initPid: pid })
    await t.rejects(client.call('thaw', c1), { code: 'WRONG_STATE' })
  })

  await t.test('a lease that names it lets the same processes go on', async (t) => {
    await lease(60_000)
    await until('it to go on', async () => (await seen()).state === 'running', 60_000)
    t.match(await seen(), { initPid: pid, fenced: false })
  })

  await t.test('an engine that died knows the lease again, and no lease is ever shortened', async (t) => {
    await host.killEngine()
    client = await host.startEngine()
    t.match(await seen(), { state: 'running', leased: true, initPid: pid })
    await lease(1)
    t.equal((await seen()).state, 'running', 'a lease is never shortened')
    await client.call('delete', { container: 'c1', epoch: 1 })
  })
})

// What the containers of the real engine and the engine's own state are after it was killed, and which epochs it takes orders from.

import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { EngineClient, EngineContainer } from '../src/index.ts'
import { reasonToSkip } from './engine-program.ts'
import { kernelIsAtLeast, type TestHost, until } from './native-hosts.ts'
import { OneHost } from './one-host.ts'
import { sh } from './run-inside.ts'

let stage: OneHost
let host: TestHost
let client: EngineClient

const state = (container: string): Promise<EngineContainer> => client.call('get', { container })

t.test('the native engine killed and started again', { skip: reasonToSkip }, async (t) => {
  stage = await OneHost.make('a', 69)
  t.teardown(() => stage.network.close())
  host = stage.host
  client = stage.client

  await t.test('containers outlive a killed engine, and the next one adopts them', async (t) => {
    const runs = await stage.startedFor(t)
    const frozen = await stage.startedFor(t)
    const ends = await stage.startedFor(t)
    await client.call('freeze', { container: frozen.container, epoch: 1 })
    const before = await Promise.all([runs, frozen, ends].map((s) => state(s.container)))
    await host.killEngine()
    process.kill(before[2]?.initPid as number, 'SIGKILL')
    client = await host.startEngine()
    const facts = ({ initPid, startedAtMs, starts, state }: EngineContainer) => ({
      initPid,
      startedAtMs,
      starts,
      state,
    })
    t.same(facts(await state(runs.container)), facts(before[0] as EngineContainer))
    t.same(facts(await state(frozen.container)), facts(before[1] as EngineContainer))
    t.match(await state(ends.container), { state: 'stopped', initPid: null })
    t.equal(await sh(client, runs.container, 'echo hello'), 'hello')
    t.match(await client.call('thaw', { container: frozen.container, epoch: 1 }), { state: 'running' })
    await sh(client, runs.container, 'poweroff -f')
    t.match(
      await client.call('wait', { container: runs.container, timeoutMs: 10_000 }),
      // Before Linux 6.15 it isn't known of one that another process has reaped: who is first there is chance.
      { state: 'stopped', exit: { reason: kernelIsAtLeast(6, 15) ? 'poweroff' : /poweroff|killed/ } },
      'also the end of one that is not its child is understood',
    )
    t.match(await client.call('start', { container: ends.container, epoch: 1 }), { state: 'running', starts: 2 })
  })

  await t.test('others take the place of killed spawners, and they end with their engine', async (t) => {
    const killed = host.children('drover-spawner')
    t.ok(killed.length > 0, `there were ${killed.length}`)
    for (const pid of killed) {
      process.kill(pid, 'SIGKILL')
      await until('its end', () => readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z '), 60_000)
    }
    const container = await stage.startFor(t)
    t.equal(await sh(client, container, 'echo hello'), 'hello')
    const next = host.children('drover-spawner').filter((pid) => !killed.includes(pid))
    t.equal(next.length, 1, 'as many as were needed')
    await host.killEngine()
    await until('the end of the spawner', () => !existsSync(`/proc/${next[0]}`), 60_000)
    client = await host.startEngine()
  })

  await t.test('a half-made container is removed by the next engine', async (t) => {
    await host.killEngine()
    mkdirSync(join(host.stateDirectory, 'c999/upper'), { recursive: true })
    client = await host.startEngine()
    t.notOk(existsSync(join(host.stateDirectory, 'c999')))
  })

  await t.test('epochs: the same is kept, an older one refused, a newer one taken over', async (t) => {
    const spec = await stage.startedFor(t, { epoch: 5 })
    const { container } = spec
    t.match(await client.call('create', { spec }), { state: 'running', epoch: 5 })
    await t.rejects(client.call('create', { spec: { ...spec, epoch: 4 } }), { code: 'STALE_EPOCH' })
    await t.rejects(client.call('kill', { container, epoch: 4, signal: 9 }), { code: 'STALE_EPOCH' })
    await t.rejects(client.call('delete', { container, epoch: 4 }), { code: 'STALE_EPOCH' })
    t.match(await client.call('start', { container, epoch: 6 }), { state: 'running', epoch: 6 })
    await t.rejects(client.call('freeze', { container, epoch: 5 }), { code: 'STALE_EPOCH' })
    spec.epoch = 6
  })
})

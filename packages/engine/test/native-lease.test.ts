// What runs only under a lease: it stands still and is off the network when the lease is over, whoever else has died, and goes on as the
// same processes when the lease is back.

import { uptime } from 'node:os'
import t from 'tap'
import type { EngineLimits } from '../src/index.ts'
import { reasonToSkip } from './engine-program.ts'
import { noLimits } from './engine-spec.ts'
import { until } from './native-hosts.ts'
import { OneHost } from './one-host.ts'

const limits: EngineLimits = { ...noLimits, leased: true }
const inMs = (ms: number) => Math.round(uptime() * 1000) + ms
const c1 = { container: 'c1', epoch: 1 }

t.test('native lease', { skip: reasonToSkip }, async (t) => {
  const stage = await OneHost.make('a', 77)
  t.teardown(() => stage.network.close())
  const { host } = stage
  let client = stage.client
  const spec = stage.spec(1, { limits })
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

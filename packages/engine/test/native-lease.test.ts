// What runs only under a lease: it stands still and is off the network when the lease is over, whoever else has died, and goes on as the
// same processes when the lease is back.

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { uptime } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { EngineLimits } from '../src/index.ts'
import { reasonToSkip } from './engine-program.ts'
import { noLimits } from './engine-spec.ts'
import { until } from './native-hosts.ts'
import { OneHost } from './one-host.ts'
import { sh } from './run-inside.ts'

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
    await t.rejects(client.call('stop', { ...c1, timeoutMs: 1_000 }), { code: 'WRONG_STATE' })
  })

  await t.test('a lease that names it lets the same processes go on', async (t) => {
    // A thaw at the same moment brings it back to its bridge, too.
    await Promise.all([lease(60_000), client.call('thaw', c1).catch(() => {})])
    await until('it to go on', async () => (await seen()).state === 'running', 60_000)
    t.match(await seen(), { initPid: pid, fenced: false })
    await until('it to be on its bridge', () => host.link('dv1').includes('master br0'), 10_000)
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

/** A host on which a step of the engine can be held still, and one container with a lease of its own of `ms`. */
async function holdable(t: Test, net: number, step: string, ms: number) {
  const stage = await OneHost.make('a', net)
  t.teardown(() => stage.network.close())
  const faults = join(stage.network.directory, 'faults')
  mkdirSync(faults)
  await stage.host.killEngine()
  const client = await stage.host.startEngine({ DROVER_FAULT_DIRECTORY: faults })
  await client.call('create', { spec: stage.spec(1, { limits }) })
  const untilMs = inMs(ms)
  const renew = (to: number) => client.call('lease', { untilMs: to, containers: { c1: 1 } })
  await renew(untilMs)
  writeFileSync(join(faults, step), '')
  const reached = join(faults, `${step}.reached`)
  return {
    client,
    renew,
    isOver: () => inMs(0) > untilMs,
    isHeld: () => existsSync(reached),
    letGo: () => rmSync(reached, { force: true }),
  }
}

t.test('a lease that ends while it is started doesn’t let its init run', { skip: reasonToSkip }, async (t) => {
  const { client, isOver, isHeld, letGo } = await holdable(t, 92, 'start:root', 5_000)
  let outcome: string | null = null
  client.call('start', c1).then(
    () => {
      outcome = 'it was started'
    },
    (error) => {
      outcome = error.code
    },
  )
  // On a machine that is busy it may be over before the start begins.
  await until('the start', () => outcome !== null || isHeld())
  await until('the end of the lease', isOver)
  letGo()
  await until('an answer', () => outcome !== null)
  t.equal(outcome, 'WRONG_STATE')
  t.match(await client.call('get', { container: 'c1' }), { state: 'created', initPid: null })
  await client.call('delete', c1)
})

t.test('what is frozen in haste goes on when the lease was renewed meanwhile', { skip: reasonToSkip }, async (t) => {
  const { client, renew, isHeld, letGo } = await holdable(t, 93, 'lease:over', 15_000)
  const { initPid } = await client.call('start', c1)
  await sh(
    client,
    'c1',
    'setsid sh -c "while :; do echo >> /ticks; busybox usleep 20000; done" > /dev/null 2>&1 < /dev/null &',
  )
  const ticks = () => readFileSync(`/proc/${initPid}/root/ticks`).length
  await until('the end of the lease', isHeld)
  await until('it to be frozen', async () => (await client.call('get', { container: 'c1' })).fenced === true)
  await renew(inMs(300_000))
  await until('it to go on', async () => (await client.call('get', { container: 'c1' })).state === 'running')
  letGo()
  const before = ticks()
  await until('it to go on for some time', () => ticks() > before + 50)
  t.match(await client.call('get', { container: 'c1' }), { state: 'running', fenced: false })
  await client.call('delete', c1)
})

// What becomes of a container at its limit of memory (the kernel kills and it is told, or everything is frozen, nothing is killed, and it
// goes on from there when it gets more), and when its host has booted.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { EngineClient, EngineContainer, EngineLimits } from '../src/index.ts'
import { reasonToSkip } from './engine-program.ts'
import { noLimits } from './engine-spec.ts'
import { type TestHost, until } from './native-hosts.ts'
import { OneHost } from './one-host.ts'
import { sh } from './run-inside.ts'

const MiB = 2 ** 20

let stage: OneHost
let host: TestHost
let client: EngineClient

const start = (test: Test, limits: EngineLimits) => stage.startFor(test, { limits })

const update = (container: string, limits: Partial<EngineLimits>) =>
  client.call('update', { container, epoch: 1, limits: { ...noLimits, ...limits } })

const inside = (container: string, script: string) => sh(client, container, script)

/**
 * Goes on when its session is over: one process, which grows by a megabyte a round and says at the end what it has. It offers itself to be
 * killed before init, which the kernel may take next while the first one's memory isn't back yet.
 */
const hog = (rounds: number) =>
  `setsid sh -c 'echo $$ > /tmp/pid; echo 1000 > /proc/self/oom_score_adj; exec busybox awk "BEGIN { s = sprintf(\\"%1000000s\\", \\"\\"); ` +
  `for (i = 1; i <= ${rounds}; i++) { a[i] = s i; n += length(a[i]) }; print n > \\"/tmp/done\\"; close(\\"/tmp/done\\"); system(\\"sleep 1000\\") }"' ` +
  '> /dev/null 2>&1 < /dev/null &'

const reaches = async (what: string, container: string, is: (seen: EngineContainer) => boolean) => {
  await until(what, async () => is(await client.call('get', { container })), 60_000)
  return client.call('get', { container })
}

t.test('at the limit of memory, and after a boot', { skip: reasonToSkip, timeout: 300_000 }, async (t) => {
  stage = await OneHost.make('a', 77)
  t.teardown(() => stage.network.close())
  host = stage.host
  client = stage.client

  await t.test('policy kill: a process is killed, which is told by its name; the container goes on', async (t) => {
    const container = await start(t, { ...noLimits, memoryBytes: 24 * MiB, swapBytes: 0 })
    t.match((await client.call('get', { container })).memory, { nearLimit: false, frozenAtLimit: false, oomKills: 0 })
    await inside(container, hog(100))
    const seen = await reaches('a kill', container, ({ memory }) => (memory?.oomKills ?? 0) > 0)
    t.equal(seen.state, 'running')
    if (existsSync('/dev/kmsg')) t.match(seen.memory?.killed ?? '', /busybox|awk/)
    t.equal(await inside(container, 'cat /tmp/done 2> /dev/null'), '')
  })

  await t.test('nearness is told before anything is done about it, and when it is over', async (t) => {
    const container = await start(t, { ...noLimits, memoryBytes: 40 * MiB, swapBytes: 0 })
    await inside(container, 'head -c 38500000 /dev/zero > /dev/shm/held')
    const seen = await reaches('nearness', container, ({ memory }) => memory?.nearLimit === true)
    t.match(seen, { state: 'running', memory: { oomKills: 0 } })
    await inside(container, 'rm /dev/shm/held')
    await reaches('its end', container, ({ memory }) => memory?.nearLimit === false)
    // File pages that nobody needs don't make it near.
    await inside(container, 'head -c 60000000 /dev/zero > /tmp/file; cat /tmp/file > /dev/null')
    await client.call('list', {})
    t.match((await client.call('get', { container })).memory, { oomKills: 0 })
  })

  await t.test('policy freeze: nothing is killed, and with more memory all goes on from where it stood', async (t) => {
    const container = await start(t, { ...noLimits, memoryBytes: 24 * MiB, swapBytes: 0, memoryPolicy: 'freeze' })
    await inside(container, hog(50))
    const held = await reaches('the freeze', container, ({ state }) => state === 'frozen')
    t.match(held.memory, { frozenAtLimit: true, oomKills: 0, killed: null })
    // Other limits may change; that is no reason to go on.
    const same = await update(container, { memoryBytes: 24 * MiB, swapBytes: 0, memoryPolicy: 'freeze', pids: 500 })
    t.match(same, { state: 'frozen', memory: { frozenAtLimit: true } })
    await host.killEngine()
    client = await host.startEngine()
    t.match(await client.call('get', { container }), { state: 'frozen', memory: { frozenAtLimit: true } })
    const raised = await update(container, { memoryBytes: 400 * MiB, memoryPolicy: 'freeze' })
    t.match(raised, { state: 'running', memory: { frozenAtLimit: false } })
    await until(
      'the end of its work',
      async () => (await inside(container, 'cat /tmp/done 2> /dev/null')) !== '',
      90_000,
    )
    t.equal(await inside(container, 'cat /tmp/done'), '50000091', 'all that it had, and the rest')
    t.match(await inside(container, 'cat /proc/$(cat /tmp/pid)/comm'), /busybox|awk/, 'the same process')
    t.match((await client.call('get', { container })).memory, { oomKills: 0 })
  })

  await t.test('frozen at the limit: with the policy kill the kernel decides; a stop is not held up', async (t) => {
    const freeze = { memoryBytes: 24 * MiB, swapBytes: 0, memoryPolicy: 'freeze' } as const
    const container = await start(t, { ...noLimits, ...freeze })
    await inside(container, hog(400))
    await reaches('the freeze', container, ({ state }) => state === 'frozen')
    await update(container, { memoryBytes: 24 * MiB, swapBytes: 0, memoryPolicy: 'kill' })
    await reaches('a kill', container, ({ state, memory }) => state === 'running' && (memory?.oomKills ?? 0) > 0)
    // What the killed one had is given back in its own time.
    await reaches('room for the limit', container, ({ memoryBytes }) => memoryBytes < 20 * MiB)
    await update(container, freeze)
    await inside(container, hog(400))
    await reaches('the freeze', container, ({ state }) => state === 'frozen')
    t.match(await client.call('stop', { container, epoch: 1, timeoutMs: 5_000 }), { state: 'stopped' })
  })

  await t.test('what ran before the host booted is stopped, and it is said that it went down with it', async (t) => {
    const container = await start(t, noLimits)
    await host.killEngine()
    const file = join(host.stateDirectory, container, 'record.json')
    const record = JSON.parse(readFileSync(file, 'utf8'))
    writeFileSync(file, JSON.stringify({ ...record, bootId: 'of another boot' }))
    client = await host.startEngine()
    t.match(await client.call('get', { container }), { state: 'stopped', exit: { reason: 'host' }, starts: 1 })
    t.equal(host.processes(container), 0)
    t.match(await client.call('start', { container, epoch: 1 }), { state: 'running', starts: 2 })
  })
})

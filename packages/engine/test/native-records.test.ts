// What a power cut leaves of a container's record, which the engine changes without a wait for the disk: a file that is empty or of zeros, its
// name being on the disk before what it holds. The one before it counts then, and nobody's disk goes for want of a record that can be read.

import { existsSync, linkSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { EngineClient } from '../src/index.ts'
import { reasonToSkip } from './engine-program.ts'
import { type TestHost, until } from './native-hosts.ts'
import { OneHost } from './one-host.ts'
import { sh } from './run-inside.ts'

let stage: OneHost
let host: TestHost
let client: EngineClient

/** Several times what the engine waits before it has a record written. */
const settledWithinMs = 120_000
const fileOf = (container: string) => join(host.stateDirectory, container, 'record.json')
const keptOf = (container: string) => `${fileOf(container)}.kept`
const settled = (container: string) =>
  until('its record on the disk', () => !existsSync(keptOf(container)), settledWithinMs)
const listed = async () => (await client.call('list', {})).containers.map(({ container }) => container)

/** As the next boot finds it. */
function cutPower(container: string, damage: (file: string) => void): void {
  for (const file of [fileOf(container), keptOf(container)].filter((each) => existsSync(each))) {
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), bootId: 'of the boot before' }))
  }
  damage(fileOf(container))
}

const damages: ((file: string) => void)[] = [
  (file) => truncateSync(file, 0),
  (file) => writeFileSync(file, Buffer.alloc(readFileSync(file).length)),
  (file) => truncateSync(file, 100),
]

t.test('records after a power cut', { skip: reasonToSkip }, async (t) => {
  stage = await OneHost.make('a', 93)
  t.teardown(() => stage.network.close())
  host = stage.host
  client = stage.client

  await t.test(
    'the newest one is empty, of zeros or cut short: the last one that was on the disk counts',
    async (t) => {
      const containers: string[] = []
      for (const _ of damages) containers.push((await stage.startedFor(t)).container)
      for (const container of containers) await sh(client, container, 'echo kept > /root/file')
      for (const container of containers) await settled(container)
      for (const container of containers) {
        await client.call('freeze', { container, epoch: 1 })
        t.match(JSON.parse(readFileSync(keptOf(container), 'utf8')), { state: 'running' })
      }
      await host.killEngine()
      for (const [at, damage] of damages.entries()) cutPower(containers[at] as string, damage)
      client = await host.startEngine()
      for (const container of containers) {
        t.match(await client.call('get', { container }), { state: 'stopped', exit: { reason: 'host' }, starts: 1 })
        t.match(await client.call('start', { container, epoch: 1 }), { state: 'running', starts: 2 })
        t.equal(await sh(client, container, 'cat /root/file'), 'kept')
      }
    },
  )

  await t.test('several changes at once: the last one on the disk is kept, not the last but one', async (t) => {
    const { container } = await stage.startedFor(t)
    for (const method of ['freeze', 'thaw'] as const) await client.call(method, { container, epoch: 1 })
    t.match(JSON.parse(readFileSync(keptOf(container), 'utf8')), { state: 'created' })
    await settled(container)
    t.match(JSON.parse(readFileSync(fileOf(container), 'utf8')), { state: 'running' })
  })

  await t.test('an engine that is killed leaves it to the next one to have it written', async (t) => {
    const { container } = await stage.startedFor(t)
    t.ok(existsSync(keptOf(container)))
    await host.killEngine()
    client = await host.startEngine()
    await settled(container)
    t.match(await client.call('get', { container }), { state: 'running' })
  })

  await t.test('an engine that is killed in the middle of a change: the next one keeps what was kept', async (t) => {
    const { container } = await stage.startedFor(t)
    await host.killEngine()
    // The old one and the new one had changed places, and the old one had its temporary name still.
    linkSync(keptOf(container), `${fileOf(container)}.new`)
    client = await host.startEngine()
    await client.call('freeze', { container, epoch: 1 })
    t.match(JSON.parse(readFileSync(keptOf(container), 'utf8')), { state: 'created' })
    t.match(JSON.parse(readFileSync(fileOf(container), 'utf8')), { state: 'frozen' })
  })

  await t.test('neither can be read: the container is left alone, and its disk stays', async (t) => {
    const spec = stage.nextSpec()
    const { container } = spec
    await client.call('create', { spec })
    const whole = readFileSync(fileOf(container))
    await host.killEngine()
    const unreadable = {
      empty: () => writeFileSync(fileOf(container), ''),
      'a directory': () => {
        rmSync(fileOf(container))
        mkdirSync(fileOf(container))
      },
    }
    for (const [name, make] of Object.entries(unreadable)) {
      make()
      client = await host.startEngine()
      t.notOk((await listed()).includes(container), name)
      t.ok(existsSync(join(host.stateDirectory, container, 'upper')), name)
      await host.killEngine()
    }
    rmSync(fileOf(container), { recursive: true })
    writeFileSync(fileOf(container), whole)
    client = await host.startEngine()
    t.match(await client.call('get', { container }), { state: 'created' })
    await client.call('delete', { container, epoch: 1 })
  })

  await t.test('nothing is left', async (t) => {
    t.same(host.leftovers(), [])
  })
})

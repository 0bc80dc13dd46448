// Devices of type proxy: addresses of the host that lead to the loopback of a container, or to a socket in its files.

import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { EngineDevice as Device, EngineDevices as Devices } from '../src/index.ts'
import { reasonToSkip } from './engine-program.ts'
import { noLimits } from './engine-spec.ts'
import { LineStream, until } from './native-hosts.ts'
import { OneHost } from './one-host.ts'
import { ask, echoServer } from './proxy-peers.ts'

const inner = 8000
const proxy = (listen: string, connect = `tcp:127.0.0.1:${inner}`, more: Partial<Device> = {}): Device =>
  ({ type: 'proxy', listen, connect, ...more }) as Device

t.test('proxies', { skip: reasonToSkip, timeout: 300_000 }, async (t) => {
  const stage = await OneHost.make('a', 84)
  t.teardown(() => stage.network.close())
  const { host } = stage
  const give = (container: string, devices: Devices) =>
    stage.client.call('update', { container, epoch: 1, limits: noLimits, devices })
  /** A container with these, and what answers inside. */
  const start = async (test: Test, devices: Devices) => {
    const container = await stage.startFor(test, { devices })
    const { initPid } = await stage.client.call('get', { container })
    const server = await echoServer(['-t', String(initPid), '-n'], inner)
    test.teardown(() => server.kill())
    return { container, root: `/proc/${initPid}/root`, server }
  }
  const tcp = (port: number, bytes?: number, address = '127.0.0.1') => ask(host.network, 'tcp', address, port, bytes)
  const udp = (port: number, address = '127.0.0.1') => ask(host.network, 'udp', address, port, 1200)

  await t.test('tcp, udp and unix, IPv4 and IPv6, to its own loopback', async (t) => {
    const path = join(stage.network.directory, 'web.sock')
    const { container, root } = await start(t, {
      four: proxy('tcp:0.0.0.0:8080'),
      six: proxy('tcp:[::]:8080', `tcp:[::1]:${inner}`),
      names: proxy('udp:0.0.0.0:5300', `udp:127.0.0.1:${inner}`),
      names6: proxy('udp:[::1]:5300', `udp:[::1]:${inner}`),
      path: proxy(`unix:${path}`, undefined, { mode: 0o600 }),
      app: proxy('tcp:127.0.0.1:8081', 'unix:/tmp/app'),
    })
    t.equal(await tcp(8080), 'same')
    t.equal(await tcp(8080, 8 << 20), 'same', 'megabytes, more than any buffer holds')
    t.equal(await tcp(8080, 10, '::1'), 'same')
    t.equal(await udp(5300), 'same')
    t.equal(await udp(5300, '::1'), 'same')
    t.equal(await tcp(0, 1 << 20, path), 'same')

    t.equal(await tcp(8081), 'ECONNRESET', 'nobody listens at the path inside')
    const server = createServer({ allowHalfOpen: true }, (socket) => socket.on('error', () => {}).pipe(socket))
    t.teardown(() => server.close())
    await once(server.listen(join(root, 'tmp/app')), 'listening')
    t.equal(await tcp(8081, 1 << 20), 'same')
    await give(container, {})
    t.equal(existsSync(path), false, 'the path goes with its proxy')
  })

  await t.test('given and taken as it runs; an address in use is refused by name, and all stays', async (t) => {
    const { container } = await start(t, {})
    t.equal(await tcp(8080), 'ECONNREFUSED')
    const one = { web: proxy('tcp:0.0.0.0:8080') }
    await give(container, one)
    t.equal(await tcp(8080), 'same')
    const other = await start(t, {})
    await t.rejects(give(other.container, { x: proxy('tcp:127.0.0.1:8080') }), {
      code: 'ENGINE_FAILED',
      message: /device x: listen at tcp:127\.0\.0\.1:8080: Address already in use/,
    })
    t.same((await stage.client.call('get', { container: other.container })).devices, {})
    await give(container, { web: proxy('tcp:0.0.0.0:8090') })
    t.equal(await tcp(8080), 'ECONNREFUSED', 'it listens elsewhere now')
    t.equal(await tcp(8090), 'same')
    await give(container, {})
    t.equal(await tcp(8090), 'ECONNREFUSED')
    await t.rejects(give(container, { x: proxy('tcp:localhost:1') }), {
      message: /x, field `listen`.*tcp:ADDRESS:PORT/,
    })
    await t.rejects(give(container, { x: proxy('udp:0.0.0.0:1') }), { message: /field `connect`: udp goes to udp/ })
  })

  await t.test('many at once, each more than buffers hold', async (t) => {
    await start(t, { web: proxy('tcp:0.0.0.0:8080') })
    t.same(await Promise.all(Array.from({ length: 12 }, () => tcp(8080, 2 << 20))), Array(12).fill('same'))
  })

  await t.test('a stop, a start, and an engine that is killed: who listens comes back', async (t) => {
    const { container, server } = await start(t, { web: proxy('tcp:0.0.0.0:8080') })
    await host.killEngine()
    await until('the port to be free', async () => (await tcp(8080)) === 'ECONNREFUSED', 60_000)
    await host.startEngine()
    await until('the next engine to listen', async () => (await tcp(8080)) === 'same', 60_000)
    await stage.client.call('stop', { container, epoch: 1, timeoutMs: 5000 })
    server.kill()
    t.equal(await tcp(8080), 'ECONNREFUSED', 'of a stopped one nobody listens')
    await stage.client.call('start', { container, epoch: 1 })
    t.equal(await tcp(8080), 'ECONNRESET', 'it listens, but nothing inside does')
  })

  await t.test('what is taken away is cut, not ended: no half of an answer passes for a whole', async (t) => {
    const { container } = await start(t, { web: proxy('tcp:0.0.0.0:8080') })
    const stream = LineStream.open(host.network, '127.0.0.1', 8080)
    await until('the connection to be carried', () => connections(host.network[1] as string, 8080) === 1)
    await give(container, {})
    await until('its end', () => stream.ended !== null)
    t.match(stream.ended, /ECONNRESET/)
  })

  t.same(host.leftovers(), [])
})

/** Established, at a port of the host, as the kernel tells. */
function connections(pid: string, port: number): number {
  const local = new RegExp(`^ *\\d+: [0-9A-F]+:${port.toString(16).toUpperCase().padStart(4, '0')} [0-9A-F:]+ 01 `)
  return readFileSync(`/proc/${pid}/net/tcp`, 'utf8')
    .split('\n')
    .filter((line) => local.test(line)).length
}

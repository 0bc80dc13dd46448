// Devices that a live move takes along: shared directories, links with an address, nodes without state, memory, proxies.

import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { EngineDevices as Devices } from '../src/index.ts'
import { reasonToSkip } from './engine-program.ts'
import { chooseCriu, MigrationStage } from './migration-stage.ts'
import { LineStream, type TestHost, until } from './native-hosts.ts'
import { echoServer } from './proxy-peers.ts'
import { sh } from './run-inside.ts'

t.test('devices that don’t pin move along, live', { skip: reasonToSkip, timeout: 300_000 }, async (t) => {
  const criu = chooseCriu()
  if (criu.path === null) return t.comment(`no live moves on this machine: ${criu.reason}`)
  const stage = await MigrationStage.set(criu.path)
  t.teardown(() => stage.strike())
  const { a, b } = stage
  const shared = join(stage.network.directory, 'shared')
  mkdirSync(shared)
  writeFileSync(join(shared, 'file'), 'everywhere\n')
  const launched = await stage.launch(a)
  const { container, limits: asked } = launched.spec
  const devices: Devices = {
    data: { type: 'bind', source: shared, path: '/srv/shared', shared: true },
    lan: { type: 'nic', bridge: 'br0', interface: 'eth1', ipv4: '10.83.0.1/24' },
    zeros: { type: 'char', source: '/dev/zero', path: '/dev/zeros' },
    scratch: { type: 'tmpfs', path: '/scratch', sizeBytes: 1 << 20 },
    count: { type: 'proxy', listen: 'tcp:0.0.0.0:7070', connect: 'tcp:127.0.0.1:7000' },
  }
  const spec = { ...launched.spec, devices }
  await a.client.call('update', { container, epoch: 1, limits: asked, devices })
  await sh(
    a.client,
    container,
    'setsid sh -c "exec 3< /srv/shared/file 4< /dev/zeros; while :; do sleep 1000; done" > /dev/null 2>&1 < /dev/null &',
  )
  const taken = await echoServer(b.network, 7070)
  await t.rejects(b.client.call('prepareRestore', { spec, startedAtMs: null, starts: 1 }), {
    message: /device count: listen at tcp:0\.0\.0\.0:7070: Address already in use/,
  })
  await b.client.call('delete', { container, epoch: 1 })
  taken.kill()
  await once(taken, 'exit')
  await sh(a.client, container, 'echo kept > /scratch/file')
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    const proxied = LineStream.open(from.network, '127.0.0.1', 7070)
    await proxied.more(1)
    await stage.moveUntilRestored(from, to, spec)
    await until('the proxied connection to be cut', () => proxied.ended !== null, 60_000)
    await stage.finish(from, to, spec)
    const reached = await until(
      'the proxy of the new host',
      async () => {
        const stream = LineStream.open(to.network, '127.0.0.1', 7070)
        await until('a line or the end', () => stream.lines.length > 0 || stream.ended !== null, 60_000)
        stream.close()
        return stream.lines.length > 0
      },
      60_000,
    )
    t.ok(reached, `the proxy leads there from ${to.name}`)
    const gone = LineStream.open(from.network, '127.0.0.1', 7070)
    await until('a refusal', () => gone.ended !== null, 60_000)
    t.match(gone.ended, /ECONNREFUSED/, `and no more from ${from.name}`)
    const { initPid } = await to.client.call('get', { container })
    t.equal(readFileSync(`/proc/${initPid}/root/srv/shared/file`, 'utf8'), 'everywhere\n', `on ${to.name}`)
    t.equal(await sh(to.client, container, 'cat /scratch/file'), 'kept')
    t.equal(await sh(to.client, container, 'echo made > /srv/shared/made; cat /srv/shared/made'), 'made')
    t.match(await sh(to.client, container, 'busybox ip addr show eth1'), /UP.*10\.83\.0\.1\/24/s)
    t.equal(await sh(to.client, container, 'busybox head -c 4 /dev/zeros | busybox wc -c'), '4')
  }
  await t.test('a dump that comes to nothing before it begins leaves the proxies as they are', async (t) => {
    const proxied = LineStream.open(a.network, '127.0.0.1', 7070)
    await proxied.more(1)
    await t.rejects(a.client.call('checkpoint', { container, epoch: spec.epoch, directory: '/proc/none/images' }))
    await proxied.more(2)
    proxied.close()
  })
  t.equal(statSync(join(shared, 'made')).uid, 0)
  await launched.stream.more(5)
  await stage.remove(a, launched)

  await t.test(
    'the usual devices are of a layer of each host, and of the container’s own where that is missing',
    async (t) => {
      const other = await stage.launch(a)
      const { container } = other.spec
      const own = async (host: TestHost) =>
        existsSync(join((await host.client.call('get', { container })).upper, 'dev/null'))
      const usable =
        'echo x > /dev/null && busybox head -c 4 /dev/zero | busybox wc -c && ls -ld /dev/null /dev/fd /dev/shm'
      const seen = await sh(a.client, container, usable)
      t.match(seen, /^4\n.*crw-rw-rw-\s+1 root\s+root\s+1,\s+3 .*\/dev\/null/s)
      t.notOk(await own(a), 'not in its writable layer')
      rmSync(join(b.stateDirectory, '.bottom'), { recursive: true })
      await stage.moveUntilRestored(a, b, other.spec)
      await stage.finish(a, b, other.spec)
      await other.stream.more(5)
      t.match(await sh(b.client, container, usable), /^4\n/)
      t.ok(await own(b), 'in its writable layer')
      await stage.moveUntilRestored(b, a, other.spec)
      await stage.finish(b, a, other.spec)
      t.match(await sh(a.client, container, usable), /^4\n/, 'with both')
      await sh(a.client, container, 'rm /dev/zero; touch /dev/kept')
      await a.client.call('stop', { container, epoch: other.spec.epoch, timeoutMs: 60_000 })
      await a.client.call('start', { container, epoch: other.spec.epoch })
      t.match(
        await sh(a.client, container, `${usable} && ls /dev/kept`),
        /^4\n.*kept$/s,
        'a start makes what is missing',
      )
      await stage.remove(a, other)
    },
  )
})

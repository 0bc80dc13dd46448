// Another name for a real container: its hostname as it runs and after a start, and its own files where they say the old one.

import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { EngineClient, EngineSpec } from '../src/index.ts'
import { makeEngineImage } from './engine-image.ts'
import { TestNetwork } from './native-hosts.ts'

const repository = fileURLToPath(new URL('../../..', import.meta.url))
const binary = process.env.DROVER_ENGINE ?? join(repository, 'native/engine/build/drover-engine')

function reasonToSkip(): string | false {
  if (process.getuid?.() !== 0) return 'needs root'
  if (!existsSync(binary)) return `needs the native engine: ${binary} is not built`
  return existsSync('/bin/busybox') ? false : 'needs /bin/busybox (package busybox-static)'
}

const container = 'c1'

t.test('a container gets another name', { skip: reasonToSkip() }, async (t) => {
  const network = await TestNetwork.make('10.77.0.9/16')
  mkdirSync(join(network.directory, 'image'))
  makeEngineImage(join(network.directory, 'image'))
  const host = await network.addHost('a', { binary, criu: null })
  const client: EngineClient = await host.startEngine()
  t.teardown(() => network.close())
  const limits = { cpuMilli: 0, memoryBytes: 0, diskBytes: 0, pids: 0 }
  const mac = '02:00:00:00:01:01'
  const spec: EngineSpec = {
    container,
    name: 'web',
    epoch: 1,
    rootfs: join(network.directory, 'image'),
    init: ['/sbin/init'],
    environment: {},
    limits,
    identity: {
      serial: 1,
      uidBase: 1_065_536,
      mac,
      ipv4: '10.77.1.1/16',
      gateway: null,
      machineId: '1'.padStart(32, '0'),
    },
  }
  await client.call('create', { spec })
  await client.call('start', { container, epoch: 1 })

  const sh = async (script: string): Promise<string> => {
    let output = ''
    const collect = (data: Uint8Array) => {
      output += Buffer.from(data)
    }
    const session = await client.exec(
      { container, command: ['sh', '-c', script], environment: {}, directory: null, user: null, terminal: null },
      { onStdout: collect, onStderr: collect },
    )
    session.end()
    await session.exit
    return output.trim()
  }
  const rename = (name: string | null) => client.call('update', { container, epoch: 1, limits, name })

  await t.test('as it runs: hostname and files, and nothing else in them', async (t) => {
    t.equal(await sh('hostname'), 'web')
    await sh('printf "10.0.0.1 web web-2 # web\\n10.0.0.2 other web\\n" >> /etc/hosts')
    const before = await client.call('get', { container })
    t.match(await rename('shop'), { name: 'shop', state: 'running', initPid: before.initPid })
    t.equal(await sh('hostname; cat /etc/hostname'), 'shop\nshop')
    const hosts = await sh('cat /etc/hosts; stat -c "%a %u" /etc/hosts')
    t.match(hosts, /^127\.0\.0\.1 localhost\n127\.0\.1\.1 shop\n::1 localhost/)
    t.match(hosts, /\n10\.0\.0\.1 shop web-2 # web\n10\.0\.0\.2 other shop\n644 0$/)
    t.match(await rename('shop'), { name: 'shop' }, 'again: as it is')
    t.match(await rename(null), { name: 'shop' }, 'null: it stays')
  })

  await t.test('stopped: it starts with the new one', async (t) => {
    await client.call('kill', { container, epoch: 1, signal: 9 })
    t.match(await rename('a-much-longer-name'), { name: 'a-much-longer-name', state: 'stopped' })
    await client.call('start', { container, epoch: 1 })
    t.equal(await sh('hostname; cat /etc/hostname'), 'a-much-longer-name\na-much-longer-name')
    t.match(await sh('cat /etc/hosts'), /\n127\.0\.1\.1 a-much-longer-name\n/)
  })

  await t.test('what was set by hand inside stays; a file that is not there is none to change', async (t) => {
    await sh('echo mine > /etc/hostname; hostname mine; rm /etc/hosts; mkdir /etc/hosts')
    t.match(await rename('x'), { name: 'x' })
    t.equal(await sh('hostname; cat /etc/hostname'), 'mine\nmine')
    await sh('rmdir /etc/hosts; ln -s /proc/sys/kernel/core_pattern /etc/hosts')
    t.match(await rename('y'), { name: 'y' }, 'nor a link to the kernel')
    await sh('rm /etc/hosts')
  })

  await t.test('an engine that is started anew knows it', async (t) => {
    await host.killEngine()
    const again = await host.startEngine()
    t.match(await again.call('get', { container }), { name: 'y' })
    await again.call('delete', { container, epoch: 1 })
  })
})

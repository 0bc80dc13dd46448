// Limits of a container, changed as it runs: asked of the kernel's own files, felt by a process inside, refused where they can't be.

import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
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
const MiB = 2 ** 20
const free: EngineLimits = { cpuMilli: 0, memoryBytes: 0, diskBytes: 0, pids: 0 }

let network: TestNetwork
let host: TestHost
let client: EngineClient
let nextSerial = 1

async function start(test: Test, limits: EngineLimits, init = ['/sbin/init']): Promise<string> {
  const serial = nextSerial++
  const spec: EngineSpec = {
    container: `c${serial}`,
    name: `limited-${serial}`,
    epoch: 1,
    rootfs: join(network.directory, 'image'),
    init,
    environment: {},
    limits,
    identity: {
      serial,
      uidBase: 1_000_000 + serial * 65_536,
      mac: `02:00:00:00:02:0${serial}`,
      ipv4: `10.77.1.${serial}/16`,
      gateway: null,
      machineId: `${serial}`.padStart(32, '0'),
    },
  }
  await client.call('create', { spec })
  test.teardown(() => client.call('delete', { container: spec.container, epoch: 1 }))
  await client.call('start', { container: spec.container, epoch: 1 })
  return spec.container
}

const update = (container: string, limits: Partial<EngineLimits>) =>
  client.call('update', { container, epoch: 1, limits: { ...free, ...limits } })

/** The first of the files that a controller of v1 or v2 has, as this process reads it; null when there is none. */
function setting(container: string, ...files: string[]): string | null {
  const roots = ['', ...readdirSync(host.path('/sys/fs/cgroup'))]
  for (const root of roots) {
    for (const file of files) {
      const path = host.path(join('/sys/fs/cgroup', root, 'drover', container, file))
      if (existsSync(path)) return readFileSync(path, 'utf8').trim()
    }
  }
  return null
}
const memory = (container: string) => Number(setting(container, 'memory.max', 'memory.limit_in_bytes'))
const quota = (container: string) => setting(container, 'cpu.max', 'cpu.cfs_quota_us')?.split(' ')[0]

async function sh(container: string, script: string): Promise<{ code: number; text: string }> {
  let text = ''
  const take = (data: Uint8Array) => {
    text += Buffer.from(data)
  }
  const session = await client.exec(
    { container, command: ['sh', '-c', script], environment: {}, directory: null, user: null, terminal: null },
    { onStdout: take, onStderr: take },
  )
  session.end()
  return { code: await session.exit, text: text.trim() }
}

t.test('limits of the native engine', { skip: reasonToSkip }, async (t) => {
  network = await TestNetwork.make('10.77.0.9/16')
  mkdirSync(join(network.directory, 'image'))
  makeEngineImage(join(network.directory, 'image'))
  host = await network.addHost('a', { binary, criu: null })
  client = await host.startEngine()
  t.teardown(() => network.close())

  await t.test('limits of the start are the kernel’s, and change as the container runs', async (t) => {
    const container = await start(t, { ...free, memoryBytes: 64 * MiB, pids: 100, cpuMilli: 500 })
    t.equal(memory(container), 64 * MiB)
    t.equal(setting(container, 'pids.max'), '100')
    t.equal(quota(container), '50000')
    const { initPid } = await client.call('get', { container })
    const answer = await update(container, { memoryBytes: 128 * MiB, pids: 50, cpuMilli: 1500, cpuWeight: 200 })
    t.match(answer.limits, { memoryBytes: 128 * MiB, pids: 50, cpuMilli: 1500, cpuWeight: 200 })
    t.equal(memory(container), 128 * MiB)
    t.equal(setting(container, 'pids.max'), '50')
    t.equal(quota(container), '150000')
    t.ok(['200', '2048'].includes(setting(container, 'cpu.weight', 'cpu.shares') ?? ''))
    t.equal((await client.call('get', { container })).initPid, initPid, 'without a restart')
    await update(container, {})
    t.ok(['max', '-1'].includes(quota(container) ?? ''), 'and are taken away')
    t.equal(setting(container, 'pids.max'), 'max')
    t.ok(['100', '1024'].includes(setting(container, 'cpu.weight', 'cpu.shares') ?? ''))
  })

  await t.test('swap is limited beside the memory, in whatever order both change', async (t) => {
    if (setting('', 'memory.memsw.limit_in_bytes', 'memory.swap.max') === null) return t.pass('no swap accounting here')
    const container = await start(t, { ...free, memoryBytes: 64 * MiB, swapBytes: 0 })
    const both = () => {
      const v2 = setting(container, 'memory.swap.max')
      return v2 === null ? Number(setting(container, 'memory.memsw.limit_in_bytes')) - memory(container) : Number(v2)
    }
    t.equal(both(), 0)
    await update(container, { memoryBytes: 256 * MiB, swapBytes: 16 * MiB })
    t.equal(both(), 16 * MiB)
    await update(container, { memoryBytes: 32 * MiB, swapBytes: 8 * MiB })
    t.equal(both(), 8 * MiB)
    t.equal(memory(container), 32 * MiB)
  })

  await t.test('a pinned container sees its cores only, and again all when it is let go', async (t) => {
    const container = await start(t, free)
    const cores = async () => (await sh(container, 'grep Cpus_allowed_list /proc/self/status')).text.split(/\s+/)[1]
    const before = await cores()
    await update(container, { cpus: '0' })
    t.equal(await cores(), '0')
    await update(container, {})
    t.equal(await cores(), before)
  })

  await t.test('what the kernel refuses is named, and nothing is changed', async (t) => {
    const container = await start(t, { ...free, memoryBytes: 64 * MiB, pids: 100 })
    await t.rejects(update(container, { memoryBytes: 128 * MiB, pids: 100, cpus: '900-901' }), {
      code: 'ENGINE_FAILED',
      message: /update c\d+: set cpuset: the kernel refuses `900-901`/,
    })
    t.equal(memory(container), 64 * MiB)
    t.match((await client.call('get', { container })).limits, { memoryBytes: 64 * MiB, cpus: '' })
    await t.rejects(update(container, { pids: -1 }), { code: 'BAD_REQUEST', message: /pids/ })
    await t.rejects(update(container, { cpus: '0;reboot' }), { code: 'BAD_REQUEST', message: /cpus/ })
  })

  await t.test('memory is not lowered below what is in use: nothing is killed by a change', async (t) => {
    const container = await start(t, { ...free, memoryBytes: 128 * MiB })
    // What lies on a tmpfs can't be given back without swap.
    t.equal((await sh(container, 'head -c 40000000 /dev/zero > /dev/shm/held')).code, 0)
    await t.rejects(update(container, { memoryBytes: 16 * MiB }), {
      code: 'ENGINE_FAILED',
      message: /memory=16777216: \d+ bytes are in use/,
    })
    t.equal(memory(container), 128 * MiB)
    t.equal((await sh(container, 'rm /dev/shm/held')).code, 0)
    await update(container, { memoryBytes: 16 * MiB })
    t.equal(memory(container), 16 * MiB)
  })

  await t.test('disk traffic is limited on the device that holds the containers', async (t) => {
    const container = await start(t, { ...free, ioWriteBytes: MiB })
    const files = ['io.max', 'blkio.throttle.write_bps_device'] as const
    const written = setting(container, ...files)
    if (written === null) return t.pass('no io controller here')
    if (written === '') return t.pass('the disks of this test are on no block device')
    t.match(written, /1048576/)
    await update(container, { ioWriteBytes: 2 * MiB, ioReadOperations: 500 })
    t.match(setting(container, ...files), /2097152/)
    t.match(setting(container, 'io.max', 'blkio.throttle.read_iops_device'), /500/)
    await update(container, {})
    t.equal(setting(container, ...files), '')
  })

  await t.test('the weight of disk traffic', async (t) => {
    const container = await start(t, { ...free, ioWeight: 300 })
    const weight = () => setting(container, 'io.weight', 'blkio.weight', 'io.bfq.weight', 'blkio.bfq.weight')
    if (weight() === null) return t.pass('no weights here')
    t.match(weight(), /300/)
    await update(container, { ioWeight: 50 })
    t.match(weight(), /50/)
  })

  await t.test('the network rate limits both ends of the link, and goes away again', async (t) => {
    const container = await start(t, { ...free, networkBits: 8_000_000 })
    const ends = async () => {
      const { initPid } = await client.call('get', { container })
      return [host.queues(`dv${container.slice(1)}`), host.queues('eth0', initPid ?? 0)]
    }
    for (const end of await ends()) t.match(end, /tbf .*rate 8Mbit/)
    await update(container, { networkBits: 80_000_000 })
    for (const end of await ends()) t.match(end, /tbf .*rate 80Mbit/)
    await update(container, { networkBits: 40_000_000_000 })
    for (const end of await ends()) t.match(end, /tbf .*rate 40Gbit/)
    await update(container, {})
    for (const end of await ends()) t.notMatch(end, /tbf/)
  })

  await t.test('an engine that comes back knows the limits; a stopped container gets them at its start', async (t) => {
    const container = await start(t, free)
    await update(container, { memoryBytes: 48 * MiB, cpus: '0', networkBits: 8_000_000 })
    await host.killEngine()
    client = await host.startEngine()
    t.match((await client.call('get', { container })).limits, {
      memoryBytes: 48 * MiB,
      cpus: '0',
      networkBits: 8_000_000,
    })
    await client.call('kill', { container, epoch: 1, signal: 9 })
    await until('its end', async () => (await client.call('get', { container })).state === 'stopped')
    await update(container, { memoryBytes: 56 * MiB })
    await client.call('start', { container, epoch: 1 })
    t.equal(memory(container), 56 * MiB)
  })
})

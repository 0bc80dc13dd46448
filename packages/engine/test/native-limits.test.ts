// Limits of a container, changed as it runs: asked of the kernel's own files, felt by a process inside, refused where they can't be.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { EngineClient, EngineLimits } from '../src/index.ts'
import { reasonToSkip } from './engine-program.ts'
import { noLimits } from './engine-spec.ts'
import { type TestHost, until } from './native-hosts.ts'
import { OneHost } from './one-host.ts'
import { run } from './run-inside.ts'

const MiB = 2 ** 20

let stage: OneHost
let host: TestHost
let client: EngineClient

const start = (test: Test, limits: EngineLimits) => stage.startFor(test, { limits })

const update = (container: string, limits: Partial<EngineLimits>) =>
  client.call('update', { container, epoch: 1, limits: { ...noLimits, ...limits } })

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

const inside = (container: string, script: string) => run(client, container, script)

t.test('limits of the native engine', { skip: reasonToSkip }, async (t) => {
  stage = await OneHost.make('a', 77)
  t.teardown(() => stage.network.close())
  host = stage.host
  client = stage.client

  await t.test('limits of the start are the kernel’s, and change as the container runs', async (t) => {
    const container = await start(t, { ...noLimits, memoryBytes: 64 * MiB, pids: 100, cpuMilli: 500 })
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

  await t.test('limits hold', async (t) => {
    const container = await start(t, { ...noLimits, cpuMilli: 500, memoryBytes: 32 * MiB, pids: 12 })
    const forks = 'for i in $(seq 14); do sleep 100 </dev/null >/dev/null 2>&1 & done; echo end'
    t.match((await inside(container, forks)).output, /can't fork/)
    t.ok((await client.call('get', { container })).processes <= 12)
    const hungry = await start(t, { ...noLimits, memoryBytes: 16 * MiB })
    // While the kernel still takes the memory of who it has killed it may kill another one: not init, where these are first.
    const eat = 'echo 1000 >/proc/self/oom_score_adj; head -c 64000000 /dev/zero | tail -c 64000000 | wc -c'
    t.notMatch((await inside(hungry, eat)).output, '64000000')
    const after = await client.call('get', { container: hungry })
    t.match(after, { state: 'running' })
    t.ok(after.memoryBytes <= 16 * MiB)
  })

  await t.test('swap is limited beside the memory, in whatever order both change', async (t) => {
    if (setting('', 'memory.memsw.limit_in_bytes', 'memory.swap.max') === null) return t.pass('no swap accounting here')
    const container = await start(t, { ...noLimits, memoryBytes: 64 * MiB, swapBytes: 0 })
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
    const container = await start(t, noLimits)
    const cores = async () =>
      (await inside(container, 'grep Cpus_allowed_list /proc/self/status')).output.split(/\s+/)[1]
    const before = await cores()
    await update(container, { cpus: '0' })
    t.equal(await cores(), '0')
    await update(container, {})
    t.equal(await cores(), before)
  })

  await t.test('what the kernel refuses is named, and nothing is changed', async (t) => {
    const container = await start(t, { ...noLimits, memoryBytes: 64 * MiB, pids: 100 })
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
    const container = await start(t, { ...noLimits, memoryBytes: 128 * MiB })
    // What lies on a tmpfs can't be given back without swap.
    t.equal((await inside(container, 'head -c 40000000 /dev/zero > /dev/shm/held')).code, 0)
    await t.rejects(update(container, { memoryBytes: 16 * MiB }), {
      code: 'ENGINE_FAILED',
      message: /memory=16777216: \d+ bytes are in use/,
    })
    t.equal(memory(container), 128 * MiB)
    t.equal((await inside(container, 'rm /dev/shm/held')).code, 0)
    await update(container, { memoryBytes: 16 * MiB })
    t.equal(memory(container), 16 * MiB)
  })

  await t.test('disk traffic is limited on the device that holds the containers', async (t) => {
    const container = await start(t, { ...noLimits, ioWriteBytes: MiB })
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
    const container = await start(t, { ...noLimits, ioWeight: 300 })
    const weight = () => setting(container, 'io.weight', 'blkio.weight', 'io.bfq.weight', 'blkio.bfq.weight')
    if (weight() === null) {
      t.match(
        (await update(container, { ioWeight: 300, pids: 50 })).limits,
        { pids: 50 },
        'not held here, and in no way',
      )
      return t.rejects(update(container, { ioWeight: 50 }), { message: /set io.weight: .*no such limit/ })
    }
    t.match(weight(), /300/)
    await update(container, { ioWeight: 50 })
    t.match(weight(), /50/)
  })

  await t.test('the network rate limits both ends of the link, and goes away again', async (t) => {
    const container = await start(t, { ...noLimits, networkBits: 8_000_000 })
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

  await t.test('eth0: each way has a rate of its own, at the start and as it runs', async (t) => {
    const container = await start(t, { ...noLimits, networkBits: 8_000_000, networkIngressBits: 16_000_000 })
    const { initPid } = await client.call('get', { container })
    const ends = () => ({ in: host.queues(`dv${container.slice(1)}`), out: host.queues('eth0', initPid ?? 0) })
    t.match(ends(), { in: /tbf .*rate 16Mbit/, out: /tbf .*rate 8Mbit/ }, 'the one that says which wins')
    await update(container, { networkEgressBits: 4_000_000 })
    t.match(ends().out, /tbf .*rate 4Mbit/)
    t.notMatch(ends().in, /tbf/, 'nothing limits what comes in')
    await update(container, {})
    t.notMatch(ends().out, /tbf/)
  })

  await t.test('eth0: its sizes, at the start and as it runs', async (t) => {
    const container = await start(t, { ...noLimits, networkMtu: 1400, networkQueue: 500 })
    const link = `dv${container.slice(1)}`
    const inner = async () => (await inside(container, 'cd /sys/class/net/eth0 && cat mtu tx_queue_len')).output
    t.equal(await inner(), '1400\n500')
    t.match(host.link(link), /mtu 1400 .*qlen 500/, 'both ends have them')
    await update(container, { networkMtu: 9000, networkQueue: 2000 })
    t.equal(await inner(), '9000\n2000')
    t.match(host.link(link), /mtu 9000 .*qlen 2000/)
    t.equal((await inside(container, 'ip link set eth0 mtu 1300')).code, 0)
    await update(container, { networkMtu: 9000, networkQueue: 2000, pids: 400 })
    t.match(await inner(), /^1300\n/, 'what its root has set stays, as long as nobody sets another')
    await update(container, {})
    t.equal(await inner(), '1500\n1000')
  })

  await t.test('eth0: an isolated one reaches those that are not, at the start and as it runs', async (t) => {
    const [first, second] = [await start(t, { ...noLimits, networkIsolated: true }), await start(t, noLimits)]
    const reaches = async (seconds: number) => {
      const address = `10.77.1.${second.slice(1)}`
      return (await inside(first, `ping -c 1 -W ${seconds} ${address}`)).code === 0
    }
    t.ok(await reaches(10))
    await update(second, { networkIsolated: true })
    t.notOk(await reaches(1))
    await host.killEngine()
    client = await host.startEngine()
    t.notOk(await reaches(1), 'and after another engine took over')
    await update(first, {})
    // It may for seconds not ask again for the neighbour that it asked for in vain.
    await until('it reaches it, let go as it runs', () => reaches(2))
  })

  await t.test('an engine that comes back knows the limits; a stopped container gets them at its start', async (t) => {
    const container = await start(t, noLimits)
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

  await t.test('what the host has no controller for is refused by name, and other changes are not', async (t) => {
    const container = await start(t, { ...noLimits, hugePages2MiB: 4 * MiB })
    await host.killEngine()
    const nothing = join(t.testdir({ controllers: '' }), 'controllers')
    const unified = existsSync(host.path('/sys/fs/cgroup/unified')) ? '/sys/fs/cgroup/unified' : '/sys/fs/cgroup'
    const hidden = `${unified}/cgroup.controllers`
    host.run(['mount', '--bind', nothing, hidden])
    client = await host.startEngine()
    const asked = { hugePages2MiB: 8 * MiB }
    await t.rejects(update(container, asked), { code: 'ENGINE_FAILED', message: /set hugepages.2MB: .*no such limit/ })
    t.match((await client.call('get', { container })).limits, { hugePages2MiB: 4 * MiB }, 'nothing has changed')
    const answer = await update(container, { hugePages2MiB: 4 * MiB, networkBits: 8_000_000 })
    t.match(answer.limits, { hugePages2MiB: 4 * MiB, networkBits: 8_000_000 })
    await host.killEngine()
    host.run(['umount', hidden])
    client = await host.startEngine()
  })
})

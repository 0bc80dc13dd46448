// What a container sees of memory, processors and time is its own: at once after a change, after a move, and after lxcfs has died.

import { existsSync, readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { EngineClient } from '../src/index.ts'
import { hierarchies } from './cgroup-hierarchies.ts'
import { reasonToSkip } from './engine-program.ts'
import { noLimits } from './engine-spec.ts'
import { chooseCriu, MigrationStage } from './migration-stage.ts'
import { type TestHost, until } from './native-hosts.ts'
import { OneHost } from './one-host.ts'
import { sh } from './run-inside.ts'

/** On cgroup v2 alone lxcfs looks for controllers where process 1 is, which no test host sees; `npm run test:v2 -- --boot` has it on a host. */
const isPureV2 = () => hierarchies().length === 1 && hierarchies()[0]?.mountPoint === '/sys/fs/cgroup'
const whyNot =
  reasonToSkip ||
  (!existsSync('/usr/bin/lxcfs')
    ? 'needs lxcfs'
    : isPureV2() && 'lxcfs knows no limits in a cgroup namespace of cgroup v2 alone')
const MiB = 2 ** 20
const limits = { cpuMilli: 1000, memoryBytes: 256 * MiB, diskBytes: 0, pids: 0 }

/** kB, as `free` takes it. */
const memoryIn = async (client: EngineClient, container: string) =>
  Number(/MemTotal: +(\d+) kB/.exec(await sh(client, container, 'cat /proc/meminfo'))?.[1])

const lxcfsOf = (host: TestHost): number =>
  JSON.parse(readFileSync(join(host.stateDirectory, '.lxcfs/process.json'), 'utf8')).pid

t.test('what a container sees of itself', { skip: whyNot, timeout: 300_000 }, async (t) => {
  const stage = await OneHost.make('a', 79)
  t.teardown(() => stage.network.close())
  const { host } = stage
  let client = stage.client
  const start = (test: Test) => stage.startFor(test, { limits })

  await t.test('its limits are what it sees, and changes at once', async (t) => {
    const container = await start(t)
    t.equal(await memoryIn(client, container), 256 * 1024)
    t.equal(await sh(client, container, 'grep -c ^processor /proc/cpuinfo'), '1')
    t.equal(await sh(client, container, 'cat /sys/devices/system/cpu/online'), '0')
    t.equal(await sh(client, container, 'grep -c "^cpu[0-9]" /proc/stat'), '1')
    await client.call('update', { container, epoch: 1, limits: { ...limits, memoryBytes: 512 * MiB, cpuMilli: 0 } })
    t.equal(await memoryIn(client, container), 512 * 1024)
    const all = readFileSync('/proc/cpuinfo', 'utf8').match(/^processor/gm)?.length
    t.equal(await sh(client, container, 'grep -c ^processor /proc/cpuinfo'), String(all))
  })

  await t.test('so are those that it gets later', async (t) => {
    const container = await stage.startFor(t)
    const cores = async () => [
      await sh(client, container, 'grep -c ^processor /proc/cpuinfo'),
      await sh(client, container, 'grep -c "^cpu[0-9]" /proc/stat'),
    ]
    t.same(await cores(), [String(cpus().length), String(cpus().length)])
    await client.call('update', { container, epoch: 1, limits: { ...noLimits, cpuMilli: 1000 } })
    t.same(await cores(), ['1', '1'])
    t.equal(await sh(client, container, 'cat /sys/devices/system/cpu/online'), '0')
  })

  await t.test('its clock started with it, for its init and for commands', async (t) => {
    const container = await start(t)
    const uptime = Number((await sh(client, container, 'cat /proc/uptime')).split(' ')[0])
    t.ok(uptime < 60, `up ${uptime} s`)
    const { initPid } = await client.call('get', { container })
    const clocks = readFileSync(`/proc/${initPid}/timens_offsets`, 'utf8')
    t.match(clocks, /^monotonic +-\d+ +0\nboottime +-\d+ +0$/m)
    t.equal(
      await sh(client, container, 'readlink /proc/self/ns/time'),
      await sh(client, container, 'readlink /proc/1/ns/time'),
    )
  })

  await t.test('lxcfs outlives its engine, and the next one goes on with it', async (t) => {
    const container = await start(t)
    const before = lxcfsOf(host)
    await host.killEngine()
    client = await host.startEngine()
    t.equal(await memoryIn(client, container), 256 * 1024)
    const second = await start(t)
    t.equal(await memoryIn(client, second), 256 * 1024)
    t.equal(lxcfsOf(host), before)
  })

  await t.test('when lxcfs dies nothing hangs, and all of a container soon sees its own again', async (t) => {
    const container = await start(t)
    // A service with mounts of its own, as systemd makes them.
    await sh(client, container, 'busybox unshare -m sleep 1000 > /dev/null 2>&1 < /dev/null &')
    const inner = await until('the inner mount namespace', async () =>
      (
        await sh(
          client,
          container,
          'for p in /proc/[0-9]*; do [ $(readlink $p/ns/mnt) = $(readlink /proc/1/ns/mnt) ] || echo $p; done',
        )
      )
        .split('\n')
        .find((p) => p !== ''),
    )
    const before = lxcfsOf(host)
    process.kill(before, 'SIGKILL')
    t.match(await sh(client, container, 'cat /proc/meminfo; echo done'), /done/)
    await until('its own numbers', async () => (await memoryIn(client, container)) === 256 * 1024, 60_000)
    await until(
      'those of the service',
      async () => /MemTotal: +262144 /.test(await sh(client, container, `cat ${inner}/root/proc/meminfo`)),
      60_000,
    )
    t.not(lxcfsOf(host), before)
    t.equal(
      await sh(client, container, 'grep -c " /proc/meminfo " /proc/self/mountinfo'),
      '1',
      'the dead mount is gone',
    )
  })
})

t.test('it sees its own after a move', { skip: whyNot, timeout: 300_000 }, async (t) => {
  const criu = chooseCriu()
  if (criu.path === null) return t.comment(`no live moves on this machine: ${criu.reason}`)
  const stage = await MigrationStage.set(criu.path)
  t.teardown(() => stage.strike())
  const { a, b } = stage
  const launched = await stage.launch(a)
  const { container } = launched.spec
  // As `top` does, a process holds the file open.
  await sh(
    a.client,
    container,
    'setsid sh -c "exec 3< /proc/meminfo; while :; do sleep 1000; done" > /dev/null 2>&1 < /dev/null &',
  )
  const uptime = async (host: TestHost) => Number((await sh(host.client, container, 'cat /proc/uptime')).split(' ')[0])
  const holder = 'for p in /proc/[0-9]*; do [ "$(busybox readlink $p/fd/3)" = /proc/meminfo ] && cat $p/fd/3; done'
  let before = await uptime(a)
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    await stage.moveUntilRestored(from, to, launched.spec)
    await stage.finish(from, to, launched.spec)
    t.equal(await memoryIn(to.client, container), 256 * 1024, `on ${to.name}`)
    t.match(await sh(to.client, container, holder), /MemTotal: +262144 kB/, 'through the open file as well')
    const after = await uptime(to)
    t.ok(after >= before && after < before + 60, `its uptime goes on: ${before} → ${after}`)
    before = after
  }
  // A host without lxcfs shows its own numbers; on the next one with it all is as it should be.
  await b.killEngine()
  process.kill(lxcfsOf(b), 'SIGKILL')
  await b.startEngine({ DROVER_LXCFS: '/nowhere/lxcfs' })
  await stage.moveUntilRestored(a, b, launched.spec)
  await stage.finish(a, b, launched.spec)
  const whole = Number(/MemTotal: +(\d+)/.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1])
  t.equal(await memoryIn(b.client, container), whole, 'without lxcfs')
  await stage.moveUntilRestored(b, a, launched.spec)
  await stage.finish(b, a, launched.spec)
  await until('its own numbers', async () => (await memoryIn(a.client, container)) === 256 * 1024)
  await launched.stream.more(5)
  await stage.remove(a, launched)
})

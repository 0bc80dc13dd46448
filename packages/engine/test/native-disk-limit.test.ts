// The size of a container's disk, held by project quotas of the file system below: felt and seen inside, changed as it runs, the same after
// a restart of the engine, on another disk and on another host. Where the file system has none, that is said.

import { execFileSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import type { EngineClient, EngineLimits } from '../src/index.ts'
import { reasonToSkip } from './engine-program.ts'
import { noLimits } from './engine-spec.ts'
import { checkCount, chooseCriu, MigrationStage } from './migration-stage.ts'
import { OneHost } from './one-host.ts'
import { run } from './run-inside.ts'
import { whyNoQuotas } from './state-mount.ts'

const MiB = 2 ** 20

const whyNot = reasonToSkip || whyNoQuotas()

const limited = (diskBytes: number): EngineLimits => ({ ...noLimits, diskBytes })
const update = (client: EngineClient, container: string, limits: EngineLimits) =>
  client.call('update', { container, epoch: 1, limits })

/** What `df` tells of the root, in MiB. */
async function seen(client: EngineClient, container: string): Promise<{ size: number; used: number }> {
  const { output } = await run(client, container, 'busybox df -P -m / | busybox tail -1')
  const [, size, used] = output.split(/\s+/).map(Number)
  return { size: size as number, used: used as number }
}

/** The exit code of writing so much; what was written stays. */
const write = async (client: EngineClient, container: string, file: string, mebibytes: number) =>
  (await run(client, container, `busybox dd if=/dev/zero of=${file} bs=1M count=${mebibytes} conv=fsync`)).code

t.test('the size of a disk', { skip: whyNot }, async (t) => {
  const stage = await OneHost.make('disks', 75, undefined, {}, 'quotas')
  t.teardown(async () => {
    const left = await stage.network.close()
    if (left.length > 0) throw new Error(`left behind: ${left.join('\n')}`)
  })
  const launch = (test: Test, limits: EngineLimits) => stage.startFor(test, { limits })

  await t.test('df shows it, a write beyond it fails, its neighbour has its own', async (t) => {
    t.equal((await stage.client.call('hello', { protocolVersion: 1 })).diskLimits, true, 'the engine says so')
    const container = await launch(t, limited(16 * MiB))
    const neighbour = await launch(t, noLimits)
    t.equal((await seen(stage.client, container)).size, 16, 'its size')
    t.ok((await seen(stage.client, neighbour)).size > 100, 'without a limit: what the host has')
    t.equal(await write(stage.client, container, '/root/a', 8), 0, 'below it: written')
    const { used } = await seen(stage.client, container)
    t.ok(used >= 8 && used <= 10, `what it uses: ${used} MiB`)
    const { code, output } = await run(
      stage.client,
      container,
      'busybox dd if=/dev/zero of=/root/b bs=1M count=12 conv=fsync',
    )
    t.not(code, 0)
    t.match(output, /quota exceeded|No space left/i)
    t.equal(await write(stage.client, neighbour, '/root/a', 24), 0, 'its neighbour goes on')
    const { code: moved } = await run(
      stage.client,
      container,
      'rm /root/b && busybox mv /root/a /etc/a && echo x > /root/new',
    )
    t.equal(moved, 0, 'room again')
  })

  await t.test('changed as it runs, never below what is in use, and kept by the next engine', async (t) => {
    const container = await launch(t, limited(8 * MiB))
    t.equal(await write(stage.client, container, '/root/a', 6), 0)
    await update(stage.client, container, limited(32 * MiB))
    t.equal((await seen(stage.client, container)).size, 32)
    t.equal(await write(stage.client, container, '/root/b', 16), 0)
    await t.rejects(update(stage.client, container, { ...limited(4 * MiB), pids: 77 }), {
      code: 'ENGINE_FAILED',
      message: /update c\d+: set disk=4194304: \d+ bytes are in use/,
    })
    t.match((await stage.client.call('get', { container })).limits, { diskBytes: 32 * MiB, pids: 0 })
    await t.rejects(update(stage.client, container, { ...limited(64 * MiB), cpus: '900' }), { code: 'ENGINE_FAILED' })
    t.equal((await seen(stage.client, container)).size, 32, 'what fails with another limit is taken back')
    await stage.host.killEngine()
    await stage.host.startEngine()
    t.equal((await seen(stage.client, container)).size, 32)
    t.not(await write(stage.client, container, '/root/c', 24), 0)
    await update(stage.client, container, noLimits)
    t.ok((await seen(stage.client, container)).size > 100)
  })

  await t.test('of a disk that was put in place of its own, too', async (t) => {
    const container = await launch(t, limited(16 * MiB))
    await run(
      stage.client,
      container,
      'mkdir /root/d && ln -s /root/d /root/link && busybox dd if=/dev/zero of=/root/d/a bs=1M count=8',
    )
    const stop = () => stage.client.call('stop', { container, epoch: 1, timeoutMs: 10_000 })
    const { upper } = await stop()
    const directory = join(dirname(upper), 'incoming')
    execFileSync('cp', ['-a', upper, directory])
    const uidBase = stage.spec(Number(container.slice(1))).identity.uidBase
    await stage.client.call('replaceDisk', { container, epoch: 1, directory, uidBase })
    await stage.client.call('start', { container, epoch: 1 })
    const now = await seen(stage.client, container)
    t.ok(now.size === 16 && now.used >= 8 && now.used <= 10, `${now.used} of ${now.size} MiB`)
    t.not(await write(stage.client, container, '/root/b', 12), 0)
    const { code, output } = await run(
      stage.client,
      container,
      'rm /root/b; mkdir /var/x && busybox mv /root/d /root/link /var/x/ && ls /var/x',
    )
    t.match({ code, output }, { code: 0, output: /d\s+link/ })
  })
})

t.test(
  'where the file system has no quotas, a change is refused and nothing else',
  { skip: reasonToSkip },
  async (t) => {
    const stage = await OneHost.make('plain', 74, undefined, {}, 'tmpfs')
    t.teardown(() => stage.network.close())
    t.equal((await stage.client.call('hello', { protocolVersion: 1 })).diskLimits, false)
    const container = await stage.startFor(t, { limits: limited(16 * MiB) })
    await update(stage.client, container, { ...limited(16 * MiB), pids: 100 })
    await t.rejects(update(stage.client, container, limited(32 * MiB)), {
      code: 'ENGINE_FAILED',
      message: /set disk: the file system of .* has no project quotas: mount ext4 or XFS with prjquota there/,
    })
    await update(stage.client, container, noLimits)
  },
)

t.test('the size of a disk goes along with a live move', { skip: whyNot, timeout: 300_000 }, async (t) => {
  const criu = chooseCriu()
  if (criu.path === null) return t.comment(`no live moves on this machine: ${criu.reason}`)
  const stage = await MigrationStage.set(criu.path, () => {}, 'quotas')
  t.teardown(() => stage.strike())
  const { a, b } = stage
  const launched = await stage.launch(a, { limits: limited(24 * MiB) })
  const { spec, stream } = launched
  t.equal(await write(a.client, spec.container, '/root-a', 8), 0)
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    await stream.more(5)
    await stage.moveUntilRestored(from, to, spec)
    await stage.finish(from, to, spec)
    t.equal((await seen(to.client, spec.container)).size, 24)
    t.not(await write(to.client, spec.container, '/root-b', 20), 0)
    t.equal((await run(to.client, spec.container, 'busybox rm /root-b')).code, 0)
  }
  await stream.more(5)
  checkCount(t, stream)
  await stage.remove(a, launched)
})

// Little processor time, no room for processes, and a move: while it stands still, what runs in its cgroup is CRIU, and no limit of these holds
// that up. Before it runs again they hold, however the move ended.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { reasonToSkip } from './engine-program.ts'
import { noLimits } from './engine-spec.ts'
import { checkCount, chooseCriu, failureOf, images, MigrationStage } from './migration-stage.ts'
import type { TestHost } from './native-hosts.ts'
import { run } from './run-inside.ts'

const limits = { ...noLimits, cpuMilli: 50, cpuWeight: 50, pids: 40 }
/** CRIU refuses a UTS namespace inside the container's. */
const nestedNamespace =
  'setsid unshare -u sh -c "touch /tmp/ready; sleep 1000" >/dev/null 2>&1 </dev/null & until [ -e /tmp/ready ]; do usleep 1000; done'

/** The first of the files that a controller of v1 or v2 has. */
function setting(host: TestHost, container: string, ...files: string[]): string {
  const root = host.path('/sys/fs/cgroup')
  const paths = ['', ...readdirSync(root)].flatMap((hierarchy) =>
    files.map((file) => join(root, hierarchy, 'drover', container, file)),
  )
  const path = paths.find((each) => existsSync(each))
  return path === undefined ? '' : readFileSync(path, 'utf8').trim()
}

function checkHeld(t: Test, host: TestHost, container: string): void {
  t.equal(setting(host, container, 'cpu.max', 'cpu.cfs_quota_us').split(' ')[0], '5000', 'its limit holds')
  t.ok(['50', '512'].includes(setting(host, container, 'cpu.weight', 'cpu.shares')), 'and its weight')
  t.equal(setting(host, container, 'pids.max'), '40', 'and that of processes')
}

function checkLifted(t: Test, host: TestHost, container: string): void {
  t.ok(['max', '-1'].includes(setting(host, container, 'cpu.max', 'cpu.cfs_quota_us').split(' ')[0] as string))
  t.ok(['10000', '102400'].includes(setting(host, container, 'cpu.weight', 'cpu.shares')))
  t.equal(setting(host, container, 'pids.max'), 'max')
}

t.test('limits of a container that moves', { skip: reasonToSkip, timeout: 300_000 }, async (t) => {
  const criu = chooseCriu()
  if (criu.path === null) return t.comment(`no live moves on this machine: ${criu.reason}`)
  const stage = await MigrationStage.set(criu.path)
  t.teardown(() => stage.strike())
  const { a, b } = stage

  await t.test('it is dumped and restored without its limit, and runs under it', async (t) => {
    const launched = await stage.launch(a, { limits })
    const { spec, stream } = launched
    const { container, epoch } = spec
    checkHeld(t, a, container)
    await stage.moveUntilRestored(a, b, spec)
    checkLifted(t, a, container)
    checkLifted(t, b, container)
    t.match(setting(b, container, 'cpu.stat'), /^nr_throttled 0$/m, 'its restore never waited for its share')
    await b.killEngine()
    await b.startEngine()
    await stage.finish(a, b, spec)
    checkHeld(t, b, container)
    await stream.more(5)
    await t.test('a move that is given up', async (t) => {
      await b.client.call('checkpoint', { container, epoch, directory: images })
      checkLifted(t, b, container)
      await b.client.call('thaw', { container, epoch })
      checkHeld(t, b, container)
      await stream.more(5)
    })
    await t.test('one of a frozen container that is given up', async (t) => {
      await b.client.call('freeze', { container, epoch })
      await b.client.call('checkpoint', { container, epoch, directory: images })
      t.equal((await b.client.call('thaw', { container, epoch })).state, 'frozen')
      checkHeld(t, b, container)
      await b.client.call('thaw', { container, epoch })
      await stream.more(5)
    })
    checkCount(t, stream)
    await stage.remove(b, launched)
  })

  await t.test('one that has as many processes as it may have', async (t) => {
    const launched = await stage.launch(a, { limits })
    const { spec, stream } = launched
    const { container, epoch } = spec
    const { processes } = await a.client.call('get', { container })
    const full = { ...spec, limits: { ...limits, pids: processes } }
    await a.client.call('update', { container, epoch, limits: full.limits })
    await stage.moveUntilRestored(a, b, full)
    await stage.finish(a, b, full)
    t.equal(setting(b, container, 'pids.max'), String(processes))
    await stream.more(5)
    checkCount(t, stream)
    await stage.remove(b, launched)
  })

  await t.test('an engine that is killed in the dump: the next one has the limit hold', async (t) => {
    const launched = await stage.launch(a, { limits })
    const { spec, stream } = launched
    const { container, epoch } = spec
    await a.killEngine()
    await a.startEngine({ DROVER_CRASH_AT: 'checkpoint:frozen' })
    await failureOf(a.client.call('checkpoint', { container, epoch, directory: images }))
    t.equal(await a.engineEnded(), 'SIGKILL')
    checkLifted(t, a, container)
    await a.startEngine()
    checkHeld(t, a, container)
    await stream.more(5)
    checkCount(t, stream)
    await stage.remove(a, launched)
  })

  await t.test('a dump that CRIU refuses', async (t) => {
    const launched = await stage.launch(a, { limits })
    const { spec, stream } = launched
    const { container, epoch } = spec
    await run(a.client, container, nestedNamespace)
    const error = await failureOf(a.client.call('checkpoint', { container, epoch, directory: images }))
    t.equal(error?.code, 'CHECKPOINT_FAILED')
    checkHeld(t, a, container)
    await stream.more(5)
    checkCount(t, stream)
    await stage.remove(a, launched)
  })

  await t.test('a restore that is given up, and the container started where it was prepared', async (t) => {
    const launched = await stage.launch(a, { limits })
    const { spec, stream } = launched
    const { container, epoch } = spec
    const { startedAtMs, starts } = await a.client.call('get', { container })
    await b.client.call('prepareRestore', { spec, startedAtMs, starts })
    checkLifted(t, b, container)
    await b.client.call('start', { container, epoch })
    checkHeld(t, b, container)
    await b.client.call('delete', { container, epoch })
    await stream.more(5)
    await stage.remove(a, launched)
  })
})

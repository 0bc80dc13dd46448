// What a container makes one in the other, deeper than a path may be long or an engine has descriptors, is no trouble to its host.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import t from 'tap'
import { reasonToSkip } from './engine-program.ts'
import { OneHost } from './one-host.ts'

/** Of the engine; each level of a tree that it holds open takes some of them. */
const descriptors = 400
const levels = 800
/** With names of this length a path of 24 levels is longer than the kernel takes. */
const longName = '0'.repeat(240)
const longLevels = 24
/** What native/engine/src/cgroup.cc allows. */
const mostCgroupLevels = 64

/** Directories in directories; the ones below are reached by the way alone. */
function nest(top: string, names: readonly string[]): void {
  const here = process.cwd()
  process.chdir(top)
  for (const name of names) {
    mkdirSync(name)
    process.chdir(name)
  }
  process.chdir(here)
}

t.test('deep trees', { skip: reasonToSkip, timeout: 600_000 }, async (t) => {
  const stage = await OneHost.make('a', 92)
  t.teardown(() => stage.network.close())
  const { client, host } = stage
  const { pid } = await client.call('hello', { protocolVersion: 1 })
  execFileSync('prlimit', ['--pid', String(pid), `--nofile=${descriptors}:${descriptors}`])

  await t.test('a deep directory is deleted with its container, names that are in the way as well', async (t) => {
    const spec = stage.nextSpec()
    const { container, epoch } = spec
    const { upper } = await client.call('create', { spec })
    const deep = Array.from({ length: levels }, () => 'a')
    nest(upper, deep)
    nest(upper, ['.too-deep-1', ...deep.slice(0, 200)])
    nest(`${upper}/..`, ['.too-deep-0', 'in-the-way'])
    await client.call('delete', { container, epoch })
    t.equal(existsSync(upper), false)
  })

  await t.test('cgroups of long names are frozen, ended and deleted with their container', async (t) => {
    const spec = stage.nextSpec()
    const { container, epoch } = spec
    await client.call('create', { spec })
    await client.call('start', { container, epoch })
    const script = `cd /sys/fs/cgroup; i=0
      while [ $i -lt ${longLevels} ]; do mkdir ${longName} && cd -P ./${longName} || exit 1; i=$((i+1)); done
      setsid sleep 1000 > /dev/null 2>&1 < /dev/null & echo $! > cgroup.procs; cat cgroup.procs`
    t.match(await stage.sh(container, script), { code: 0, output: /^\d+$/ }, 'a process is in the last one')
    await client.call('freeze', { container, epoch })
    await client.call('thaw', { container, epoch })
    await client.call('kill', { container, epoch, signal: 9 })
    await client.call('delete', { container, epoch })
    t.same(host.leftovers(), [])
  })

  await t.test(`${mostCgroupLevels} levels of cgroups, and no more`, async (t) => {
    const container = await stage.startFor(t)
    const script = `cd /sys/fs/cgroup; i=0
      while mkdir a 2> /dev/null && cd -P ./a; do i=$((i+1)); [ $i -lt 200 ] || break; done; echo $i`
    t.match(await stage.sh(container, script), { code: 0, output: `${mostCgroupLevels}` })
  })

  t.same(host.leftovers(), [])
})

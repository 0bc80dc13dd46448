// Live moves of containers that are pinned to CPUs: from their start, later, and by a limit that is another one than at the dump. In v1's
// cpuset only these have a cgroup of their own.

import { existsSync, readFileSync } from 'node:fs'
import { cpus as coresHere } from 'node:os'
import t, { type Test } from 'tap'
import type { EngineSpec } from '../src/index.ts'
import { reasonToSkip } from './engine-program.ts'
import { noLimits } from './engine-spec.ts'
import { checkCount, chooseCriu, MigrationStage } from './migration-stage.ts'
import type { TestHost } from './native-hosts.ts'
import { run } from './run-inside.ts'

const all = `0-${coresHere().length - 1}`
const isV1 = existsSync('/sys/fs/cgroup/cpuset/cpuset.cpus')

const pinned = (spec: EngineSpec, cpus: string): EngineSpec => ({ ...spec, limits: { ...spec.limits, cpus } })

/** Of every process inside, and of a new one. */
async function coresOf(host: TestHost, container: string): Promise<string[]> {
  const script = 'grep -hs Cpus_allowed_list /proc/[0-9]*/status'
  const { output } = await run(host.client, container, script)
  return [...new Set(output.split('\n').map((line) => line.split(/\s+/)[1] as string))]
}

async function check(t: Test, host: TestHost, spec: EngineSpec): Promise<void> {
  const { container, limits } = spec
  const { initPid } = await host.client.call('get', { container })
  t.same(await coresOf(host, container), [limits.cpus || all], 'all of it and new commands')
  const own = host.hierarchiesOf(container)
  if (!isV1) return
  t.equal(own.includes('cpuset'), limits.cpus !== undefined, 'a cgroup of its own is for who asks')
  const place = readFileSync(`/proc/${initPid}/cgroup`, 'utf8')
  t.match(place, limits.cpus ? new RegExp(`cpuset:\\S*/${container}$`, 'm') : /cpuset:\S*\/drover$/m)
}

t.test('moves of pinned containers', { skip: reasonToSkip, timeout: 300_000 }, async (t) => {
  if (coresHere().length < 2) return t.comment('needs two cores')
  const criu = chooseCriu()
  if (criu.path === null) return t.comment(`no live moves on this machine: ${criu.reason}`)
  const stage = await MigrationStage.set(criu.path)
  t.teardown(() => stage.strike())
  const { a, b } = stage

  const move = async (t: Test, from: TestHost, to: TestHost, before: EngineSpec, after = before) => {
    await stage.moveUntilRestored(from, to, after)
    await stage.finish(from, to, after)
    await check(t, to, after)
    t.same(from.hierarchiesOf(before.container), [], 'nothing of it is left where it was')
  }

  await t.test('pinned as it runs: it moves, is let go and moves back', async (t) => {
    const launched = await stage.launch(a, { limits: noLimits })
    const { spec, stream } = launched
    // Another container's cgroup below the common one is none of its business.
    const other = await stage.launch(a, { limits: noLimits })
    const update = (host: TestHost, of: EngineSpec) =>
      host.client.call('update', { container: of.container, epoch: 1, limits: of.limits })
    await update(a, pinned(other.spec, '1'))
    await check(t, a, spec)
    await run(a.client, spec.container, '(while :; do busybox true; done) > /dev/null 2>&1 < /dev/null &')
    const later = pinned(spec, '0')
    await update(a, later)
    await check(t, a, later)
    await stream.more(5)
    await move(t, a, b, later)
    t.same(b.hierarchiesOf(other.spec.container), [], 'nor is anything of others made elsewhere')
    await update(b, spec)
    t.same(await coresOf(b, spec.container), [all])
    await stage.moveUntilRestored(b, a, spec)
    await stage.finish(b, a, spec)
    t.same(b.hierarchiesOf(spec.container), [], 'nothing of it is left')
    t.same(await coresOf(a, spec.container), [all])
    await stream.more(5)
    checkCount(t, stream)
    await stage.remove(a, other)
    await stage.remove(a, launched)
  })

  await t.test('pinned from its start', async (t) => {
    const launched = await stage.launch(a, { limits: { ...noLimits, cpus: '1' } })
    await check(t, a, launched.spec)
    await move(t, a, b, launched.spec)
    checkCount(t, launched.stream)
    await stage.remove(b, launched)
  })

  await t.test('restored under another limit than it was dumped under, as a snapshot may be', async (t) => {
    const launched = await stage.launch(a, { limits: noLimits })
    await move(t, a, b, launched.spec, pinned(launched.spec, '0'))
    await stage.remove(b, launched)
  })
})

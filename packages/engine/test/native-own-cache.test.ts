// What starts leave in the kernel's caches is charged to the engine, and goes every few starts.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { reasonToSkip } from './engine-program.ts'
import { until } from './native-hosts.ts'
import { OneHost } from './one-host.ts'

/** own_cache.h */
const startsBetween = 32

t.test('the engine’s own memory cgroup', { skip: reasonToSkip }, async (t) => {
  const stage = await OneHost.make('a', 83)
  t.teardown(() => stage.network.close())
  const { host } = stage
  const [own] = host.cgroups.map((group) => join(group, 'drover', '.engine')).filter((group) => existsSync(group))
  if (own === undefined) return t.fail('it has none')
  const processes = () => readFileSync(join(own, 'cgroup.procs'), 'utf8').trimEnd().split('\n')
  const isV1 = existsSync(join(own, 'memory.force_empty'))
  /** The kernel's memory that is charged to it. */
  const kernelBytes = () =>
    isV1
      ? Number(readFileSync(join(own, 'memory.kmem.usage_in_bytes'), 'utf8'))
      : Number(/^slab (\d+)/m.exec(readFileSync(join(own, 'memory.stat'), 'utf8'))?.[1])

  await t.test('is emptied every few starts, and none of its containers is in it', async (t) => {
    await Promise.all(Array.from({ length: startsBetween - 1 }, () => stage.startedFor(t)))
    const before = kernelBytes()
    const { container } = await stage.startedFor(t)
    const { initPid } = await stage.client.call('get', { container })
    await until('the kernel to empty it', () => kernelBytes() < before)
    t.notOk(processes().includes(`${initPid}`))
  })

  await t.test('is the next engine’s after a kill -9, and goes with the last', async (t) => {
    const before = processes()
    await host.killEngine()
    await host.startEngine()
    t.notSame(processes(), before)
    t.ok(processes().length > 0)
    await host.endEngine('SIGTERM')
    t.notOk(existsSync(own))
  })
})

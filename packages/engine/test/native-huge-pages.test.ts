// Memory in huge pages, of what the machine has reserved (the test reserves some and gives them back): limited, and carried by a live move.
// Needs root.

import { execFileSync } from 'node:child_process'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { reasonToSkip } from './engine-program.ts'
import { noLimits } from './engine-spec.ts'
import { checkCount, chooseCriu, MigrationStage } from './migration-stage.ts'
import { until } from './native-hosts.ts'
import { OneHost } from './one-host.ts'
import { sh } from './run-inside.ts'

const program = fileURLToPath(new URL('./huge-pages.c', import.meta.url))
const reserved = '/proc/sys/vm/nr_hugepages'
const free = () => Number(/HugePages_Free:\s+(\d+)/.exec(readFileSync('/proc/meminfo', 'latin1'))?.[1])
const pages = 12
const page = 2 * 2 ** 20

/** Pages that are free as long as the test runs; false: the machine has no room for them, or other sizes only. */
function reserve(t: Test): boolean {
  let before: string
  try {
    before = readFileSync(reserved, 'latin1')
    if (!readFileSync('/proc/meminfo', 'latin1').includes('Hugepagesize:       2048 kB')) return false
    writeFileSync(reserved, String(Number(before) + pages))
  } catch {
    return false
  }
  t.teardown(() => writeFileSync(reserved, before))
  return free() >= pages
}

t.test('huge pages', { skip: reasonToSkip, timeout: 240_000 }, async (t) => {
  if (!reserve(t)) return t.comment('this machine can reserve no pages of 2 MiB')
  const built = join(t.testdir(), 'huge-pages')
  try {
    execFileSync('cc', ['-O2', '-static', '-o', built, program], { stdio: 'ignore' })
  } catch {
    return t.comment('no C compiler, or no static C library')
  }
  const fill = (image: string) => cpSync(built, join(image, 'bin/huge-pages'))
  const begin = 'rm -f /tmp/huge /tmp/looks; setsid huge-pages'
  const background = '>/dev/null 2>&1 </dev/null & until [ -s /tmp/huge ]; do usleep 10000; done; cat /tmp/huge'

  await t.test('limited, from the start and as it runs', async (t) => {
    const stage = await OneHost.make('a', 78, fill)
    t.teardown(() => stage.network.close())
    const container = await stage.startFor(t, { limits: { ...noLimits, hugePages2MiB: 2 * page } })
    const take = async (count: number) => (await stage.sh(container, `${begin} ${count} ${background}`)).output.trim()
    t.equal(await take(3), 'refused')
    t.equal(await take(2), 'filled')
    t.equal(free(), pages - 2)
    const update = (bytes: number) =>
      stage.client.call('update', { container, epoch: 1, limits: { ...noLimits, hugePages2MiB: bytes } })
    const { limits } = await update(5 * page)
    t.equal(limits?.hugePages2MiB, 5 * page)
    t.equal(await take(3), 'filled')
    await t.rejects(update(page), { code: 'ENGINE_FAILED', message: /set hugepages.2MB: the kernel refuses/ })
    await update(-1)
    t.equal(await take(4), 'filled', 'without a limit: what the host has reserved')
  })

  await t.test('a live move carries them', async (t) => {
    const criu = chooseCriu()
    if (criu.path === null) return t.comment(`no live moves on this machine: ${criu.reason}`)
    const stage = await MigrationStage.set(criu.path, fill)
    t.teardown(() => stage.strike())
    const { a, b } = stage
    const launched = await stage.launch(a)
    const { spec, stream } = launched
    const moves = [
      { kind: 'private', from: a, to: b },
      { kind: 'shared', from: b, to: a },
    ]
    for (const { kind, from, to } of moves) {
      await until('the pages to be free', () => free() >= pages, 30_000)
      t.match(await sh(from.client, spec.container, `${begin} 4 ${kind} ${background}`), /filled/)
      await stage.moveUntilRestored(from, to, spec)
      await stage.finish(from, to, spec)
      const inside = (script: string) => sh(to.client, spec.container, script)
      const looks = async () => Number(await inside('cat /tmp/looks'))
      const before = await looks()
      await until('a look at the pages after the move', async () => (await looks()) > before + 2, 30_000)
      t.match(await inside('cat /tmp/huge'), /filled/, `${kind}: each word is what it was`)
      t.match(await inside('grep -h ^VmFlags /proc/[0-9]*/smaps | grep -w ht | head -n 1'), /\bht\b/, 'in huge pages')
      await inside('busybox killall huge-pages')
    }
    await stream.more(5)
    checkCount(t, stream)
    await stage.remove(a, launched)
  })
})

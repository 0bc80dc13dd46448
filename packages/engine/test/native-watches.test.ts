// inotify watches over live moves between hosts whose file systems have nothing in common, with the names of what is watched gone from
// the kernel's cache, as they go when memory is short: CRIU must find each by its path, for a file handle means nothing elsewhere.

import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { reasonToSkip } from './engine-program.ts'
import { checkCount, chooseCriu, MigrationStage } from './migration-stage.ts'
import { until } from './native-hosts.ts'
import { sh } from './run-inside.ts'

const program = fileURLToPath(new URL('./watcher.c', import.meta.url))
/** Of the image, and made in the container; directories have none of what is watched otherwise. */
const files = ['/etc/watched', '/var/own/file']
const directories = ['/etc/folder', '/var/own/folder']
/** Watched themselves, not what they lead to. */
const links = ['/etc/link', '/var/own/link']
const eventDeadlineMs = 60_000

t.test('watches over a move between file systems', { skip: reasonToSkip, timeout: 240_000 }, async (t) => {
  const criu = chooseCriu()
  if (criu.path === null) return t.comment(`no live moves on this machine: ${criu.reason}`)
  const watcher = join(t.testdir(), 'watcher')
  try {
    execFileSync('cc', ['-O2', '-static', '-o', watcher, program], { stdio: 'ignore' })
  } catch {
    return t.comment('no C compiler, or no static C library')
  }
  const fill = (image: string) => {
    cpSync(watcher, join(image, 'bin/watcher'))
    mkdirSync(join(image, 'etc/folder'))
    writeFileSync(join(image, 'etc/watched'), 'of the image')
    symlinkSync('watched', join(image, 'etc/link'))
  }
  const stage = await MigrationStage.set(criu.path, fill, 'tmpfs')
  t.teardown(() => stage.strike())
  const { a, b } = stage
  const launched = await stage.launch(a)
  const { spec, stream } = launched
  const all = [...files, ...directories, ...links]
  await sh(
    a.client,
    spec.container,
    `mkdir -p /var/own/folder; echo 1 > /var/own/file; ln -s nowhere /var/own/link
     setsid watcher ${all.join(' ')} >/dev/null 2>&1 </dev/null & until [ -s /tmp/watcher.pid ]; do usleep 1000; done`,
  )
  const hosts = [a, b, a, b]
  for (const [hop, to] of hosts.entries()) {
    const from = hosts[hop - 1]
    if (from !== undefined) {
      const { initPid } = await from.client.call('get', { container: spec.container })
      forgetNames(initPid as number)
      const { dump } = await stage.moveUntilRestored(from, to, spec)
      t.comment(`hop ${hop}: dump ${dump.figures.dump_ms} ms`)
      await stage.finish(from, to, spec)
    }
    await sh(
      to.client,
      spec.container,
      `rm -f /tmp/events; for f in ${files.join(' ')}; do echo ${hop} >> $f; done; for d in ${directories.join(' ')}; do touch $d/${hop}; done; touch -h ${links.join(' ')}`,
    )
    const seen = async () => {
      const numbers = new Set(
        (await sh(to.client, spec.container, 'cat /tmp/events 2>/dev/null; true')).split('\n').filter(Boolean),
      )
      return all.every((_, index) => numbers.has(String(index + 1)))
    }
    await until(`an event of each watch on ${to.name} (hop ${hop})`, seen, eventDeadlineMs)
    t.pass(`each watch has its event after ${hop} moves`)
  }
  await stream.more(5)
  checkCount(t, stream)
  await stage.remove(b, launched)
})

/** Has the kernel drop what it caches of names of the container's root: a remount does that for one file system. */
function forgetNames(initPid: number): void {
  execFileSync('nsenter', [
    '-t',
    String(initPid),
    '-m',
    '-p',
    '/bin/busybox',
    'mount',
    '-i',
    '-o',
    'remount,rw',
    'overlay',
    '/',
  ])
}

// Memory goes ahead of processes that can be stopped for a moment. One that can't be, since a thread of it is in an uninterruptible sleep, isn't waited for
// while its other threads stand: it goes on, and its memory is left to the dump, like that of 32-bit programs. Nothing that comes in that moment is lost.

import { execFileSync } from 'node:child_process'
import { cpSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { reasonToSkip } from './engine-program.ts'
import { images } from './migration-stage.ts'
import { OneHost } from './one-host.ts'

/** As in all of these programs. */
const ownBytes = 2 << 20
const rounds = 300
const directory = join(dirname(images), 'parent')

const counts =
  'was=$(cat /tmp/ticks); while [ -z "$(cat /tmp/ticks)" -o "$(cat /tmp/ticks)" = "$was" ]; do usleep 1000; done'

/** A container that runs this program, built with these flags; undefined: it can't be built here. */
async function start(t: Test, name: string, link: number, flags = ['-static', '-pthread']) {
  const program = join(t.testdir(), name)
  const source = fileURLToPath(new URL(`./stopped/${name}.c`, import.meta.url))
  try {
    execFileSync('cc', ['-O2', ...flags, '-o', program, source], { stdio: 'ignore' })
  } catch {
    t.comment(`no C compiler for ${flags.join(' ')}`)
    return undefined
  }
  const host = await OneHost.make(name, link, (image) => cpSync(program, join(image, `bin/${name}`)))
  t.teardown(() => host.network.close())
  const container = await host.startFor(t)
  const inside = async (script: string) => {
    const { code, output } = await host.sh(container, script)
    t.equal(code, 0, `${script}: ${output}`)
    return output
  }
  await inside(`setsid ${name} >/tmp/said 2>&1 </dev/null & echo $! >/tmp/pid`)
  return {
    inside,
    copy: async (mostBytes = 2 * ownBytes) => {
      const part = { container, epoch: 1, directory, mostBytes }
      return host.client.call('copyMemory', part)
    },
  }
}

/** The program's two numbers in this file, after it was stopped so often. */
async function afterRounds(started: NonNullable<Awaited<ReturnType<typeof start>>>, file: string) {
  await started.inside(`until [ -s ${file} ]; do usleep 1000; done`)
  for (let round = 0; round < rounds; round++) {
    await started.copy()
    await started.copy(0)
  }
  const [had = 0, lost] = (await started.inside(`cat ${file}`)).trim().split(/\s+/).map(Number)
  return { had, lost }
}

t.test('a process that does not stop', { skip: reasonToSkip, timeout: 240_000 }, async (t) => {
  const started = await start(t, 'held', 115)
  if (!started) return
  const { inside, copy } = started
  const threads = '/proc/$(cat /tmp/pid)/task/*'

  await inside(`until cat ${threads}/stat 2>/dev/null | grep -q " D "; do usleep 1000; done`)
  const passedOver = await copy()
  t.ok(passedOver.bytes < ownBytes, `it is passed over: ${passedOver.bytes} bytes`)
  await inside(`${counts}; ! grep TracerPid ${threads}/status | grep -v "TracerPid:.0$"`)
  await inside(`touch /tmp/go; until [ -e /tmp/went ]; do usleep 1000; done; ${counts}`)

  await copy(0)
  const { tracked, bytes } = await copy()
  if (tracked) t.ok(bytes >= ownBytes, `and copied once it does: ${bytes} bytes`)
  else t.comment('this kernel does not track writes by userfaultfd')
  await inside(counts)
})

t.test('signals in that moment', { skip: reasonToSkip, timeout: 240_000 }, async (t) => {
  const started = await start(t, 'signalled', 116)
  if (!started) return
  const { had, lost } = await afterRounds(started, '/tmp/signals')
  t.ok(had > rounds, `${had} signals`)
  t.equal(lost, 0, 'none is missing')
})

t.test('a restartable sequence in that moment', { skip: reasonToSkip, timeout: 240_000 }, async (t) => {
  const started = await start(t, 'sequences', 117)
  if (!started) return
  const { had, lost } = await afterRounds(started, '/tmp/sequences')
  t.ok(had > 0, `${had} were cut off`)
  t.equal(lost, 0, 'none went on as if it had not been interrupted')
})

t.test('a 32-bit program', { skip: reasonToSkip, timeout: 240_000 }, async (t) => {
  const started = await start(t, 'compat', 118, ['-m32', '-static', '-nostdlib', '-fno-stack-protector'])
  if (!started) return
  const { inside, copy } = started
  const descriptors = 'ls -l /proc/$(cat /tmp/pid)/fd | sed "s/.*> //"'

  await inside(counts)
  const before = await inside(descriptors)
  const { bytes } = await copy()
  t.ok(bytes < ownBytes, `it is passed over: ${bytes} bytes`)
  t.equal(await inside(descriptors), before, 'it has the descriptors that it had')
  await inside(counts)
})

// Live moves that go wrong: whoever dies in the middle, and whatever CRIU refuses, exactly one copy goes on and nothing is left.

import { existsSync, readdirSync, rmSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { reasonToSkip } from './engine-program.ts'
import { checkCount, checkStill, chooseCriu, failureOf, images, MigrationStage } from './migration-stage.ts'
import { type TestHost, until } from './native-hosts.ts'
import { childrenOf } from './proc.ts'

/** CRIU refuses a UTS namespace inside the container's. */
const nestedNamespace =
  'setsid unshare -u sh -c "touch /tmp/ready; sleep 1000" >/dev/null 2>&1 </dev/null & until [ -e /tmp/ready ]; do usleep 1000; done'

/** One that has ended by itself needn't be. */
function kill(pid: number, signal: 'SIGKILL' | 'SIGSTOP'): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

function listed(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : []
}

/** Where CRIU puts mounts together. */
function yards(host: TestHost): string[] {
  return readdirSync(host.path('/run')).filter((name) => name.startsWith('.criu.mntns.'))
}

t.test('native moves that fail', { skip: reasonToSkip, timeout: 300_000 }, async (t) => {
  const criu = chooseCriu()
  if (criu.path === null) return t.comment(`no live moves on this machine: ${criu.reason}`)
  const stage = await MigrationStage.set(criu.path)
  t.teardown(() => stage.strike())
  const { a, b } = stage

  await t.test('engines killed in the middle find checkpointed and restored containers as they were', async (t) => {
    const launched = await stage.launch(a)
    const { spec, stream } = launched
    const { container } = spec
    await stage.moveUntilRestored(a, b, spec)
    for (const [host, state] of [
      [a, 'checkpointed'],
      [b, 'restored'],
    ] as const) {
      await host.killEngine()
      await host.startEngine()
      t.equal((await host.client.call('get', { container })).state, state)
      await checkStill(t, host, container, stream)
    }
    await stage.finish(a, b, spec)
    await stream.more(20)
    checkCount(t, stream)
    await stage.remove(b, launched)
  })

  await t.test('an engine killed in the middle of a dump: the next one lets the container go on', async (t) => {
    const launched = await stage.launch(a)
    const { spec, stream } = launched
    const { container, epoch } = spec
    for (const file of ['inventory.img', 'core-1.img', 'pstree.img', 'mountpoints']) {
      rmSync(a.path(images), { recursive: true, force: true })
      const broken = failureOf(a.client.call('checkpoint', { container, epoch, directory: images }))
      await until(
        `${file} of the dump`,
        () => listed(a.path(images)).some((name) => name.startsWith(file)),
        5_000,
      ).catch(() => null)
      await a.killEngine()
      await broken
      await a.startEngine()
      // Killed a moment too late, the dump was done and noted: that is the other case.
      const found = await a.client.call('get', { container })
      if (found.state === 'checkpointed') await a.client.call('thaw', { container, epoch })
      else t.equal(found.state, 'running', `killed at ${file}`)
      await stream.more(20)
    }
    checkCount(t, stream)
    await stage.remove(a, launched)
  })

  await t.test(
    'an engine killed in the middle of a restore: nothing of it is left, and it can be done again',
    async (t) => {
      const launched = await stage.launch(a)
      const { spec, stream } = launched
      const { container, epoch } = spec
      await stage.moveUntilCopied(a, b, spec)
      const broken = b.client.call('restore', { container, epoch, directory: images }).catch(() => null)
      await until('a process of the restore', () => b.processes(container) > 0)
      await b.killEngine()
      await broken
      await b.startEngine()
      if ((await b.client.call('get', { container })).state === 'created') {
        t.equal(b.processes(container), 0, 'the half-restored processes are gone')
        t.same(yards(b), [], 'and the directory of its mounts')
        await b.client.call('restore', { container, epoch, directory: images })
      }
      await stage.finish(a, b, spec)
      await stream.more(20)
      checkCount(t, stream)
      await stage.remove(b, launched)
    },
  )

  await t.test(
    'a CRIU that is killed in a restore: it fails at once, leaves nothing, and can be done again',
    async (t) => {
      const launched = await stage.launch(a)
      const { spec, stream } = launched
      const { container, epoch } = spec
      await stage.moveUntilCopied(a, b, spec)
      let answered = false
      const restore = failureOf(b.client.call('restore', { container, epoch, directory: images })).finally(() => {
        answered = true
      })
      const makesProcesses = () => b.children('criu').some((pid) => childrenOf(pid).length > 0)
      await until('CRIU to make processes', () => answered || makesProcesses())
      for (const pid of b.children('criu')) kill(pid, 'SIGKILL')
      const failure = await restore
      // On a busy machine the kill may come too late: then it was an ordinary restore.
      t.same(yards(b), [], 'nor a directory of its mounts')
      if (failure !== null) {
        t.equal(failure.code, 'RESTORE_FAILED')
        t.equal(b.processes(container), 0)
        await b.client.call('restore', { container, epoch, directory: images })
      }
      await stage.finish(a, b, spec)
      await stream.more(20)
      checkCount(t, stream)
      t.same([...a.children('criu'), ...b.children('criu')], [], 'no criu is left, not even as a zombie')
      await stage.remove(b, launched)
    },
  )

  await t.test('moves go on when the CRIU that they are copies of is killed or does not answer', async (t) => {
    const launched = await stage.launch(a)
    const { spec, stream } = launched
    const signals = ['SIGKILL', 'SIGSTOP'] as const
    for (const [index, signal] of signals.entries()) {
      const [from, to] = index % 2 === 0 ? [a, b] : [b, a]
      const copied = [from, to].map((host) => host.children('criu-nursery'))
      for (const pid of copied.flat()) kill(pid, signal)
      await stage.moveUntilRestored(from, to, spec)
      await stage.finish(from, to, spec)
      await stream.more(20)
      for (const [side, host] of [from, to].entries()) {
        const now = host.children('criu-nursery')
        t.equal(now.length, 1, 'there is one')
        t.equal(
          now.some((pid) => copied[side]?.includes(pid)),
          false,
          `another than that which got ${signal}`,
        )
      }
    }
    checkCount(t, stream)
    await stage.remove(a, launched)
  })

  await t.test('damaged images: the restore fails with a reason, leaves nothing, and the source goes on', async (t) => {
    const launched = await stage.launch(a)
    const { spec, stream } = launched
    const { container, epoch } = spec
    await stage.moveUntilCopied(a, b, spec)
    const core = readdirSync(b.path(images)).find((name) => name.startsWith('core-')) as string
    truncateSync(join(b.path(images), core), 10)
    const error = await failureOf(b.client.call('restore', { container, epoch, directory: images }))
    t.equal(error?.code, 'RESTORE_FAILED')
    t.match(error?.message, /Error/, 'the message has what CRIU says')
    t.equal((await b.client.call('get', { container })).processes, 0)
    await b.client.call('delete', { container, epoch })
    await a.client.call('thaw', { container, epoch })
    await stream.more(20)
    checkCount(t, stream)
    await stage.remove(a, launched)
  })

  await t.test('what CRIU cannot dump: the checkpoint fails with a reason and the container runs on', async (t) => {
    const launched = await stage.launch(a)
    const { spec, stream } = launched
    const { container, epoch } = spec
    const session = await a.client.exec(
      {
        container,
        command: ['/bin/sh', '-c', nestedNamespace],
        environment: {},
        directory: null,
        user: null,
        terminal: null,
      },
      {},
    )
    t.equal(await session.exit, 0)
    const error = await failureOf(a.client.call('checkpoint', { container, epoch, directory: images }))
    t.equal(error?.code, 'CHECKPOINT_FAILED')
    t.match(error?.message, /uts/, 'the message names what is in the way')
    t.equal((await a.client.call('get', { container })).state, 'running')
    await stream.more(20)
    checkCount(t, stream)
    t.notOk(existsSync(a.path(images)), 'no images are left')
    await stage.remove(a, launched)
  })

  await t.test('nothing of the containers is left on either host', async (t) => {
    t.same(a.leftovers(), [])
    t.same(b.leftovers(), [])
  })
})

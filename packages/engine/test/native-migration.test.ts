// Live moves through the real engine and the real CRIU, between hosts in namespaces of this machine. What the agents do (copying
// the writable layer and the images) is done here by tar and cp.

import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type DroverError, protocolVersion } from '@drover/protocol'
import t, { type Test } from 'tap'
import type { EngineContainer, EngineFigures, EngineSpec } from '../src/index.ts'
import { makeMigrationImage } from './migration-image.ts'
import { type LineStream, type TestHost, TestNetwork, until } from './native-hosts.ts'

const repository = fileURLToPath(new URL('../../..', import.meta.url))
const binary = process.env.DROVER_ENGINE ?? join(repository, 'native/engine/build/drover-engine')
const images = '/run/checkpoints/move'
const hops = 10
/** How long a container that must not run is watched. */
const watchMs = 300

/** CRIU refuses a UTS namespace inside the container's. */
const nestedNamespace =
  'setsid unshare -u sh -c "touch /tmp/ready; sleep 1000" >/dev/null 2>&1 </dev/null & until [ -e /tmp/ready ]; do usleep 1000; done'

/** A process with a deleted file, and with a file of which one of two names is deleted; and a cgroup with nobody in it. */
const openThings = `
  mkdir -p /work /sys/fs/cgroup/empty
  echo ghost content > /work/ghost; echo linked content > /work/one; ln /work/one /work/two; echo shared > /dev/shm/one; ln /dev/shm/one /dev/shm/two
  cat > /work/hold <<'END'
exec 3< /work/ghost 4< /work/one 5< /dev/shm/one
rm /work/ghost /work/one /dev/shm/one
echo $$ > /work/pid
while :; do sleep 1000; done
END
  setsid sh /work/hold > /dev/null 2>&1 < /dev/null &
  until [ -s /work/pid ]; do usleep 1000; done`
const checkThings = `
  pid=$(cat /work/pid)
  cat /proc/$pid/fd/3 /proc/$pid/fd/4 /work/two /proc/$pid/fd/5
  [ -d /sys/fs/cgroup/empty ] && echo cgroup`

interface Choice {
  path: string | null
  reason: string
}

function chooseCriu(): Choice {
  const choice = join(repository, '.drover/criu/choice.json')
  execFileSync(join(repository, 'deploy/criu'), ['--engine', binary], { stdio: ['ignore', 'ignore', 'pipe'] })
  return JSON.parse(execFileSync('cat', [choice], { encoding: 'utf8' }))
}

function listed(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : []
}

function reasonToSkip(): string | false {
  if (process.getuid?.() !== 0) return 'needs root'
  if (!existsSync(binary)) return `needs the native engine: ${binary} is not built`
  if (!existsSync('/bin/busybox')) return 'needs /bin/busybox (package busybox-static)'
  return false
}

/** What holds init in its place, as the kernel tells it. */
function confinement({ initPid }: EngineContainer): string[] {
  const lines = readFileSync(`/proc/${initPid}/status`, 'utf8').split('\n')
  const kept = lines.filter((line) => /^(Seccomp|NoNewPrivs|Cap|Uid|Gid|NSpid)/.test(line))
  return [...kept.map((line) => line.replace(/^(NSpid:\t)\d+/, '$1')), readFileSync(`/proc/${initPid}/uid_map`, 'utf8')]
}

/** Copies the writable layer as an agent does; the destination's holds nothing else afterwards. */
function copyUpper(from: string, to: string): void {
  mkdirSync(to, { recursive: true })
  execFileSync(
    'bash',
    [
      '-c',
      'set -o pipefail; tar -C "$0" --xattrs --xattrs-include="*" --numeric-owner -cf - . | tar -C "$1" --xattrs --xattrs-include="*" --numeric-owner -xpf -',
      from,
      to,
    ],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  )
}

/** pid and count of the last line, having checked that each line follows the one before. */
function checkCount(test: Test, stream: LineStream): { pid: string; count: number } {
  const [pid = ''] = (stream.lines[0] ?? '').split(' ')
  const wrong = stream.lines.findIndex((line, index) => line !== `${pid} ${index}`)
  test.equal(wrong, -1, `all ${stream.lines.length} lines of the open connection are of one process and in order`)
  return { pid, count: stream.lines.length }
}

/** The container's processor time does not grow while it is watched. */
async function checkStill(test: Test, host: TestHost, container: string, stream: LineStream): Promise<void> {
  const before = await host.client.call('get', { container })
  const lines = stream.lines.length
  const end = performance.now() + watchMs
  await until('the watch to be over', () => performance.now() > end)
  const after = await host.client.call('get', { container })
  test.equal(after.cpuUsec, before.cpuUsec, 'it used no processor time')
  test.equal(stream.lines.length, lines, 'it sent nothing')
}

t.test('native moves', { skip: reasonToSkip(), timeout: 110_000 }, async (t) => {
  const criu = chooseCriu()
  if (criu.path === null) return t.comment(`no live moves on this machine: ${criu.reason}`)
  const network = await TestNetwork.make('10.78.0.9/16')
  const image = join(network.directory, 'image')
  makeMigrationImage(image)
  const options = { binary, criu: criu.path }
  const [a, b] = [await network.addHost('a', options), await network.addHost('b', options)]
  t.teardown(async () => {
    const left = await network.close()
    if (left.length > 0) throw new Error(`left behind: ${left.join('\n')}`)
  })
  await Promise.all([a.startEngine(), b.startEngine()])
  t.match((await a.client.call('hello', { protocolVersion })).criu, {
    usable: true,
    path: criu.path,
    version: /^\d+\.\d+/,
  })

  let serial = 0
  const newSpec = (): EngineSpec => {
    serial++
    return {
      container: `c${serial}`,
      name: `web-${serial}`,
      epoch: 1,
      rootfs: image,
      init: ['/sbin/init'],
      environment: {},
      limits: { cpuMilli: 2000, memoryBytes: 256 << 20, diskBytes: 0, pids: 200 },
      identity: {
        serial,
        uidBase: 1_000_000 + serial * 65_536,
        mac: `02:78:00:00:01:${serial.toString(16).padStart(2, '0')}`,
        ipv4: `10.78.1.${serial}/16`,
        gateway: null,
        machineId: serial.toString(16).padStart(32, '0'),
      },
    }
  }
  const launch = async (host: TestHost) => {
    const spec = newSpec()
    await host.client.call('create', { spec })
    const container = await host.client.call('start', { container: spec.container, epoch: spec.epoch })
    const address = spec.identity.ipv4.split('/')[0] as string
    const listening = async () => {
      const stream = network.stream(address, 7000)
      await until('the first line or the end', () => stream.lines.length > 0 || stream.ended !== null)
      return stream.ended === null ? stream : null
    }
    return { spec, container, stream: await until('the server in the container', listening) }
  }
  const remove = async (host: TestHost, spec: EngineSpec, stream: LineStream) => {
    stream.close()
    await host.client.call('delete', { container: spec.container, epoch: spec.epoch + 100 })
  }
  /** Everything up to `restored` on the destination; the source stays `checkpointed`. */
  const moveUntilRestored = async (from: TestHost, to: TestHost, spec: EngineSpec) => {
    const { container, epoch } = spec
    const source = await from.client.call('get', { container })
    const prepared = await to.client.call('prepareRestore', {
      spec,
      startedAtMs: source.startedAtMs,
      starts: source.starts,
    })
    copyUpper(source.upper, prepared.upper)
    const dump = await from.client.call('checkpoint', { container, epoch, directory: images })
    rmSync(prepared.upper, { recursive: true })
    copyUpper(source.upper, prepared.upper)
    rmSync(to.path(images), { recursive: true, force: true })
    cpSync(from.path(images), to.path(images), { recursive: true })
    const restore = await to.client.call('restore', { container, epoch, directory: images })
    return { source, dump, restore }
  }

  await t.test(`a container with an open connection moves ${hops} times and goes on`, async (t) => {
    const { spec, container, stream } = await launch(a)
    const before = confinement(container)
    const figures: EngineFigures[] = []
    let released: EngineContainer = container
    for (let hop = 0; hop < hops; hop++) {
      const [from, to] = hop % 2 === 0 ? [a, b] : [b, a]
      await stream.more(5)
      const { dump, restore } = await moveUntilRestored(from, to, spec)
      t.equal(dump.container.state, 'checkpointed')
      t.equal(restore.container.state, 'restored')
      if (hop < 2) {
        await checkStill(t, to, spec.container, stream)
        await checkStill(t, from, spec.container, stream)
      }
      const release = await to.client.call('release', { container: spec.container, epoch: spec.epoch })
      await from.client.call('delete', { container: spec.container, epoch: spec.epoch })
      released = release.container
      figures.push({ ...dump.figures, ...restore.figures, ...release.figures })
    }
    await stream.more(5)
    checkCount(t, stream)
    t.equal(released.state, 'running')
    t.same(
      confinement(released),
      before,
      'system call filter, capabilities and id maps are those that it was started with',
    )
    t.equal(released.startedAtMs, container.startedAtMs, 'the time of its start is kept')
    t.equal(released.starts, 1, 'a move is not a start')
    for (const name of ['freeze_ms', 'dump_ms', 'mount_ms', 'restore_ms', 'attach_ms', 'thaw_ms']) {
      const values = figures.map((f) => f[name] as number).sort((x, y) => x - y)
      t.comment(`${name}: median ${values[hops / 2]?.toFixed(2)}, most ${values.at(-1)?.toFixed(2)}`)
    }
    const gap = figures.map((f) => ((f.resumedAtNs as number) - (f.frozenAtNs as number)) / 1e6).sort((x, y) => x - y)
    t.comment(`frozen to resumed with the copying of this test: median ${gap[hops / 2]?.toFixed(1)} ms`)
    await remove(a, spec, stream)
  })

  await t.test('an aborted move: the source is thawed and its connection goes on', async (t) => {
    const { spec, stream } = await launch(a)
    const { container, epoch } = spec
    await moveUntilRestored(a, b, spec)
    await b.client.call('delete', { container, epoch })
    await checkStill(t, a, container, stream)
    const thawed = await a.client.call('thaw', { container, epoch })
    t.equal(thawed.state, 'running')
    await stream.more(20)
    checkCount(t, stream)
    await remove(a, spec, stream)
  })

  await t.test('engines killed in the middle find checkpointed and restored containers as they were', async (t) => {
    const { spec, stream } = await launch(a)
    const { container, epoch } = spec
    await moveUntilRestored(a, b, spec)
    for (const [host, state] of [
      [a, 'checkpointed'],
      [b, 'restored'],
    ] as const) {
      await host.killEngine()
      await host.startEngine()
      t.equal((await host.client.call('get', { container })).state, state)
      await checkStill(t, host, container, stream)
    }
    await b.client.call('release', { container, epoch })
    await a.client.call('delete', { container, epoch })
    await stream.more(20)
    checkCount(t, stream)
    await remove(b, spec, stream)
  })

  await t.test('an engine killed in the middle of a dump: the next one lets the container go on', async (t) => {
    const { spec, stream } = await launch(a)
    const { container, epoch } = spec
    for (const file of ['inventory.img', 'core-1.img', 'pstree.img', 'mountpoints']) {
      rmSync(a.path(images), { recursive: true, force: true })
      const broken = a.client.call('checkpoint', { container, epoch, directory: images }).then(
        () => null,
        (thrown: DroverError) => thrown,
      )
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
    await remove(a, spec, stream)
  })

  await t.test(
    'an engine killed in the middle of a restore: nothing of it is left, and it can be done again',
    async (t) => {
      const { spec, stream } = await launch(a)
      const { container, epoch } = spec
      const source = await a.client.call('get', { container })
      const prepared = await b.client.call('prepareRestore', {
        spec,
        startedAtMs: source.startedAtMs,
        starts: source.starts,
      })
      await a.client.call('checkpoint', { container, epoch, directory: images })
      copyUpper(source.upper, prepared.upper)
      rmSync(b.path(images), { recursive: true, force: true })
      cpSync(a.path(images), b.path(images), { recursive: true })
      const broken = b.client.call('restore', { container, epoch, directory: images }).catch(() => null)
      await until('a process of the restore', () => b.processes(container) > 0)
      await b.killEngine()
      await broken
      await b.startEngine()
      if ((await b.client.call('get', { container })).state === 'created') {
        t.equal(b.processes(container), 0, 'the half-restored processes are gone')
        await b.client.call('restore', { container, epoch, directory: images })
      }
      await b.client.call('release', { container, epoch })
      await a.client.call('delete', { container, epoch })
      await stream.more(20)
      checkCount(t, stream)
      await remove(b, spec, stream)
    },
  )

  await t.test('deleted files, hard links and empty cgroups move along', async (t) => {
    const { spec, stream } = await launch(a)
    const run = async (host: TestHost, script: string) => {
      let output = ''
      const session = await host.client.exec(
        {
          container: spec.container,
          command: ['/bin/sh', '-c', script],
          environment: {},
          directory: null,
          user: null,
          terminal: null,
        },
        {
          onStdout: (data) => {
            output += Buffer.from(data).toString()
          },
        },
      )
      return { code: await session.exit, output: output.trim() }
    }
    t.equal((await run(a, openThings)).code, 0)
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      await moveUntilRestored(from, to, spec)
      await to.client.call('release', { container: spec.container, epoch: spec.epoch })
      await from.client.call('delete', { container: spec.container, epoch: spec.epoch })
      const { output } = await run(to, checkThings)
      t.equal(output, 'ghost content\nlinked content\nlinked content\nshared\ncgroup', `on ${to.name}`)
    }
    await stream.more(5)
    checkCount(t, stream)
    await remove(a, spec, stream)
  })

  await t.test('open exec sessions, with and without a terminal, end and do not hinder the move', async (t) => {
    const { spec, stream } = await launch(a)
    const { container, epoch } = spec
    const ends: Promise<number | string>[] = []
    for (const terminal of [null, { columns: 80, rows: 24 }]) {
      let output = ''
      const session = await a.client.exec(
        {
          container,
          command: ['/bin/sh', '-c', 'echo started; sleep 1000'],
          environment: {},
          directory: null,
          user: null,
          terminal,
        },
        {
          onStdout: (data) => {
            output += Buffer.from(data).toString()
          },
        },
      )
      await until('the session', () => output.includes('started'))
      ends.push(session.exit.catch((thrown: DroverError) => thrown.code))
    }
    await moveUntilRestored(a, b, spec)
    t.equal((await Promise.all(ends)).length, 2, 'both clients are told')
    await b.client.call('release', { container, epoch })
    await a.client.call('delete', { container, epoch })
    await stream.more(20)
    checkCount(t, stream)
    await remove(b, spec, stream)
  })

  await t.test('a CRIU that dies in the middle: a failed dump lets go, a failed restore leaves nothing', async (t) => {
    const { spec, stream } = await launch(a)
    const { container, epoch } = spec
    const failure = (call: Promise<unknown>) =>
      call.then(
        () => null,
        (thrown: DroverError) => thrown.code,
      )
    rmSync(a.path(images), { recursive: true, force: true })
    const dump = failure(a.client.call('checkpoint', { container, epoch, directory: images }))
    await until('the first image', () => listed(a.path(images)).some((name) => name.endsWith('.img')))
    for (const pid of a.children('criu')) process.kill(pid, 'SIGKILL')
    t.equal(await dump, 'CHECKPOINT_FAILED')
    t.equal((await a.client.call('get', { container })).state, 'running')
    await stream.more(20)

    const source = await a.client.call('get', { container })
    const { startedAtMs, starts } = source
    const prepared = await b.client.call('prepareRestore', { spec, startedAtMs, starts })
    await a.client.call('checkpoint', { container, epoch, directory: images })
    copyUpper(source.upper, prepared.upper)
    rmSync(b.path(images), { recursive: true, force: true })
    cpSync(a.path(images), b.path(images), { recursive: true })
    const restore = failure(b.client.call('restore', { container, epoch, directory: images }))
    await until('a process of the restore', () => b.processes(container) > 0)
    for (const pid of b.children('criu')) process.kill(pid, 'SIGKILL')
    t.equal(await restore, 'RESTORE_FAILED')
    t.equal(b.processes(container), 0)
    await b.client.call('restore', { container, epoch, directory: images })
    await b.client.call('release', { container, epoch })
    await a.client.call('delete', { container, epoch })
    await stream.more(20)
    checkCount(t, stream)
    t.same([...a.children('criu'), ...b.children('criu')], [], 'no criu is left, not even as a zombie')
    await remove(b, spec, stream)
  })

  await t.test('damaged images: the restore fails with a reason, leaves nothing, and the source goes on', async (t) => {
    const { spec, stream } = await launch(a)
    const { container, epoch } = spec
    const source = await a.client.call('get', { container })
    const prepared = await b.client.call('prepareRestore', {
      spec,
      startedAtMs: source.startedAtMs,
      starts: source.starts,
    })
    await a.client.call('checkpoint', { container, epoch, directory: images })
    copyUpper(source.upper, prepared.upper)
    rmSync(b.path(images), { recursive: true, force: true })
    cpSync(a.path(images), b.path(images), { recursive: true })
    const core = readdirSync(b.path(images)).find((name) => name.startsWith('core-')) as string
    truncateSync(join(b.path(images), core), 10)
    const error = await b.client.call('restore', { container, epoch, directory: images }).then(
      () => null,
      (thrown: DroverError) => thrown,
    )
    t.equal(error?.code, 'RESTORE_FAILED')
    t.match(error?.message, /Error/, 'the message has what CRIU says')
    t.equal((await b.client.call('get', { container })).processes, 0)
    await b.client.call('delete', { container, epoch })
    await a.client.call('thaw', { container, epoch })
    await stream.more(20)
    checkCount(t, stream)
    await remove(a, spec, stream)
  })

  await t.test('what CRIU cannot dump: the checkpoint fails with a reason and the container runs on', async (t) => {
    const { spec, stream } = await launch(a)
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
    const error = await a.client.call('checkpoint', { container, epoch, directory: images }).then(
      () => null,
      (thrown: DroverError) => thrown,
    )
    t.equal(error?.code, 'CHECKPOINT_FAILED')
    t.match(error?.message, /uts/, 'the message names what is in the way')
    t.equal((await a.client.call('get', { container })).state, 'running')
    await stream.more(20)
    checkCount(t, stream)
    t.notOk(existsSync(a.path(images)), 'no images are left')
    await remove(a, spec, stream)
  })

  await t.test('a repeated command gives the same result', async (t) => {
    const { spec, stream } = await launch(a)
    const { container, epoch } = spec
    const { dump, restore } = await moveUntilRestored(a, b, spec)
    t.same((await a.client.call('checkpoint', { container, epoch, directory: images })).figures, dump.figures)
    t.same((await b.client.call('restore', { container, epoch, directory: images })).figures, restore.figures)
    await b.client.call('release', { container, epoch })
    t.equal((await b.client.call('release', { container, epoch })).container.state, 'running')
    await a.client.call('delete', { container, epoch })
    await a.client.call('delete', { container, epoch })
    await stream.more(20)
    checkCount(t, stream)
    await remove(b, spec, stream)
  })

  await t.test('nothing of the containers is left on either host', async (t) => {
    t.same(a.leftovers(), [])
    t.same(b.leftovers(), [])
  })
})

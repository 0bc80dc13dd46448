// Live moves through the real engine and the real CRIU, between hosts in namespaces of this machine: what must be the same afterwards.

import { readdirSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { type DroverError, type Frame, FrameType, protocolVersion } from '@drover/protocol'
import t, { type Test } from 'tap'
import { encodeFrame, FrameStream } from '../src/frame-stream.ts'
import type { EngineContainer, EngineFigures, EngineSpec } from '../src/index.ts'
import { reasonToSkip } from './engine-program.ts'
import { checkCount, checkStill, chooseCriu, confinement, images, MigrationStage } from './migration-stage.ts'
import { type TestHost, until } from './native-hosts.ts'

const hops = 10

/**
 * A process with a deleted file, and with a file of which one of two names is deleted; a cgroup with nobody in it; another name of the host;
 * a tmpfs that another lies on, and a time of /tmp, which no dump may change.
 */
const openThings = `
  mkdir -p /work /sys/fs/cgroup/empty; busybox hostname of-inside
  mkdir -m 750 /run/of-ftp; echo in memory > /run/of-ftp/file; chown -R 7:8 /run/of-ftp; ln -s of-ftp/file /run/link
  mkdir /run/below; busybox mount -t tmpfs below /run/below; echo below > /run/below/file; touch -d '2001-02-03 04:05:06' /tmp
  echo ghost content > /work/ghost; echo linked content > /work/one; ln /work/one /work/two; echo shared > /dev/shm/one; ln /dev/shm/one /dev/shm/two
  cat > /work/hold <<'END'
exec 3< /work/ghost 4< /work/one 5< /dev/shm/one
rm /work/ghost /work/one /dev/shm/one
echo $$ > /work/pid
while :; do sleep 1000; done
END
  setsid sh /work/hold > /dev/null 2>&1 < /dev/null &
  until [ -s /work/pid ]; do usleep 1000; done
  mkdir /sys/fs/cgroup/held; cat /work/pid > /sys/fs/cgroup/held/cgroup.procs`
const checkThings = `
  pid=$(cat /work/pid)
  cat /proc/$pid/fd/3 /proc/$pid/fd/4 /work/two /proc/$pid/fd/5
  [ -d /sys/fs/cgroup/empty ] && echo cgroup
  cat /proc/$pid/cgroup | { while read line; do case $line in 0::*) echo $line; esac; done; }
  cat /run/link; stat -c '%u %g %a' /run/of-ftp /run/of-ftp/file; busybox hostname
  cat /run/below/file; stat -c %Y /tmp
  for each in $(cat /sys/fs/cgroup/cgroup.procs); do [ $each != $$ ] && echo root; done | head -1`

/** Its images are said to be complete once nothing changes in them any more; and who hears news of it has been answered before. */
async function checkEarlyImages(t: Test, host: TestHost, { container, epoch }: EngineSpec): Promise<void> {
  const heard: string[] = []
  const socket = connect(host.socket)
  const onFrame = ({ payload }: Frame) => heard.push(Buffer.from(payload).toString())
  new FrameStream(socket, { onFrame, onClose: () => {} })
  const ask = (id: string, method: string, params: object) =>
    socket.write(encodeFrame(FrameType.json, JSON.stringify({ id, method, params })))
  const find = (text: string) => heard.findIndex((frame) => frame.includes(text))
  const read = () =>
    readdirSync(host.path(images))
      .filter((name) => name !== 'criu.log' && name !== 'stats-dump')
      .map((name) => [name, readFileSync(host.path(`${images}/${name}`), 'base64')])
  t.same(await host.client.call('checkpointImages', { container }), { complete: false, diskStands: false }, 'no dump')
  ask('news', 'subscribe', {})
  ask('dump', 'checkpoint', { container, epoch, directory: images })
  ask('images', 'checkpointImages', { container })
  await until('the images', () => find('"id":"images"') >= 0)
  const early = read()
  t.match(heard[find('"id":"images"')], /"complete":true,"diskStands":true/)
  await until('the news of the dump', () => find('"event":"container"') >= 0)
  socket.destroy()
  t.same(read(), early)
  t.match(heard[find('"id":"dump"')], /"state":"checkpointed"/)
  t.ok(find('"id":"dump"') < find('"event":"container"'), heard.join('\n'))
}

t.test('native moves', { skip: reasonToSkip, timeout: 300_000 }, async (t) => {
  const criu = chooseCriu()
  if (criu.path === null) return t.comment(`no live moves on this machine: ${criu.reason}`)
  const stage = await MigrationStage.set(criu.path)
  t.teardown(() => stage.strike())
  const { a, b } = stage
  t.match((await a.client.call('hello', { protocolVersion })).criu, {
    usable: true,
    path: criu.path,
    version: /^\d+\.\d+/,
  })

  await t.test(`a container with an open connection moves ${hops} times and goes on`, async (t) => {
    const launched = await stage.launch(a)
    const { spec, container, stream } = launched
    const before = confinement(container)
    const figures: EngineFigures[] = []
    let released: EngineContainer = container
    for (let hop = 0; hop < hops; hop++) {
      const [from, to] = hop % 2 === 0 ? [a, b] : [b, a]
      await stream.more(5)
      const { dump, restore } = await stage.moveUntilRestored(from, to, spec)
      t.equal(dump.container.state, 'checkpointed')
      t.equal(restore.container.state, 'restored')
      if (hop < 2) {
        await checkStill(t, to, spec.container, stream)
        await checkStill(t, from, spec.container, stream)
      }
      const release = await stage.finish(from, to, spec)
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
    for (const name of ['freeze_ms', 'affinity_ms', 'dump_ms', 'mount_ms', 'restore_ms', 'attach_ms', 'thaw_ms']) {
      const values = figures.map((f) => f[name] as number).sort((x, y) => x - y)
      t.comment(`${name}: median ${values[hops / 2]?.toFixed(2)}, most ${values.at(-1)?.toFixed(2)}`)
    }
    const gap = figures.map((f) => ((f.resumedAtNs as number) - (f.frozenAtNs as number)) / 1e6).sort((x, y) => x - y)
    t.comment(`frozen to resumed with the copying of this test: median ${gap[hops / 2]?.toFixed(1)} ms`)
    await stage.remove(a, launched)
  })

  await t.test('an aborted move: the source is thawed and its connection goes on', async (t) => {
    const launched = await stage.launch(a)
    const { spec, stream } = launched
    const { container, epoch } = spec
    await checkEarlyImages(t, a, spec)
    await a.client.call('thaw', { container, epoch })
    await stage.moveUntilRestored(a, b, spec)
    await b.client.call('delete', { container, epoch })
    await checkStill(t, a, container, stream)
    const thawed = await a.client.call('thaw', { container, epoch })
    t.equal(thawed.state, 'running')
    await stream.more(20)
    checkCount(t, stream)
    await stage.remove(a, launched)
  })

  await t.test('deleted files, hard links, inner cgroups and who is in them move along', async (t) => {
    const launched = await stage.launch(a)
    const { spec, stream } = launched
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
      await stage.moveUntilRestored(from, to, spec)
      await stage.finish(from, to, spec)
      const { output } = await run(to, checkThings)
      t.equal(
        output,
        'ghost content\nlinked content\nlinked content\nshared\ncgroup\n0::/held\nin memory\n7 8 750\n7 8 644\nof-inside\nbelow\n981173106\nroot',
        `on ${to.name}`,
      )
    }
    await stream.more(5)
    checkCount(t, stream)
    await stage.remove(a, launched)
  })

  await t.test('open exec sessions, with and without a terminal, end and do not hinder the move', async (t) => {
    const launched = await stage.launch(a)
    const { spec, stream } = launched
    const { container } = spec
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
    await stage.moveUntilRestored(a, b, spec)
    t.equal((await Promise.all(ends)).length, 2, 'both clients are told')
    await stage.finish(a, b, spec)
    await stream.more(20)
    checkCount(t, stream)
    await stage.remove(b, launched)
  })

  await t.test('a repeated command gives the same result', async (t) => {
    const launched = await stage.launch(a)
    const { spec, stream } = launched
    const { container, epoch } = spec
    const { dump, restore } = await stage.moveUntilRestored(a, b, spec)
    t.same((await a.client.call('checkpoint', { container, epoch, directory: images })).figures, dump.figures)
    t.same((await b.client.call('restore', { container, epoch, directory: images })).figures, restore.figures)
    await b.client.call('release', { container, epoch })
    t.equal((await b.client.call('release', { container, epoch })).container.state, 'running')
    await a.client.call('delete', { container, epoch })
    await a.client.call('delete', { container, epoch })
    await stream.more(20)
    checkCount(t, stream)
    await stage.remove(b, launched)
  })

  await t.test('nothing of the containers is left on either host', async (t) => {
    t.same(a.leftovers(), [])
    t.same(b.leftovers(), [])
  })
})

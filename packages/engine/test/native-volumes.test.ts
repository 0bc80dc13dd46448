// Volumes: directories with the container's own owners in them, mounted as it runs; not taken away while in use, and with it on a live move.

import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { EngineDevices, EngineSpec } from '../src/index.ts'
import { reasonToSkip } from './engine-program.ts'
import { chooseCriu, images, MigrationStage } from './migration-stage.ts'
import { type TestHost, until } from './native-hosts.ts'
import { sh } from './run-inside.ts'

const at = (source: string, readonly = false): EngineDevices => ({
  data: { type: 'volume', source, path: '/srv/data', ...(readonly ? { readonly } : {}) },
})

t.test('volumes of a container', { skip: reasonToSkip, timeout: 300_000 }, async (t) => {
  const criu = chooseCriu()
  const stage = await MigrationStage.set(criu.path ?? '/nowhere')
  t.teardown(() => stage.strike())
  const { a, b } = stage
  const directory = (name: string) => {
    const made = join(stage.network.directory, name)
    mkdirSync(made)
    chmodSync(made, 0o755)
    return made
  }
  const give = (host: TestHost, { container, epoch, limits }: EngineSpec, devices: EngineDevices) =>
    host.client.call('update', { container, epoch, limits, devices })

  const lines = (volume: string) => readFileSync(join(volume, 'log'), 'utf8').split('\n').length

  await t.test(
    'owners are those of the container, and of the next one; it is not taken away while in use',
    async (t) => {
      const volume = directory('one')
      const first = await stage.launch(a)
      const second = await stage.launch(a)
      const inFirst = (script: string) => sh(a.client, first.spec.container, script)
      await give(a, first.spec, at(volume))
      await inFirst(
        'cd /srv/data; echo kept > file; mkdir d; echo x > d/other; chown 7:8 d/other; mkfifo p; ln file two',
      )
      t.match(statSync(join(volume, 'file')), { uid: 0, gid: 0, nlink: 2 })
      t.match(statSync(join(volume, 'd/other')), { uid: 7, gid: 8 })
      await inFirst(
        'setsid sh -c "exec 3>> /srv/data/log; echo \\$\\$ > /tmp/open; while :; do sleep 1000; done" >/dev/null 2>&1 </dev/null & until [ -s /tmp/open ]; do usleep 1000; done',
      )
      await t.rejects(give(a, first.spec, {}), { code: 'BUSY', message: /\/srv\/data is in use in the container/ })
      t.equal(await inFirst('cat /srv/data/file'), 'kept', 'as before')
      await inFirst('kill -- -$(cat /tmp/open)')
      await until('the volume to be free', async () =>
        give(a, first.spec, {}).then(
          () => true,
          () => false,
        ),
      )
      t.match(await inFirst('ls /srv/data/file 2>&1; true'), /No such file/)
      await give(a, second.spec, at(volume, true))
      const inSecond = (script: string) => sh(a.client, second.spec.container, script)
      t.equal(await inSecond('cat /srv/data/file; stat -c %u:%g /srv/data/file /srv/data/d/other'), 'kept\n0:0\n7:8')
      t.match(await inSecond('echo x > /srv/data/file 2>&1; true'), /[Rr]ead-only/)
      await stage.remove(a, first)
      await stage.remove(a, second)
      t.equal(readFileSync(join(volume, 'file'), 'utf8'), 'kept\n', 'both are deleted, and it is there')
    },
  )

  await t.test('a mount namespace inside that has a copy of it counts as in use', async (t) => {
    const volume = directory('two')
    const { spec, ...rest } = await stage.launch(a)
    await give(a, spec, at(volume))
    await sh(
      a.client,
      spec.container,
      'setsid busybox unshare -m sh -c "echo > /tmp/own; exec 3> /srv/data/held; while :; do sleep 1000; done" >/dev/null 2>&1 </dev/null & until [ -e /tmp/own ]; do usleep 1000; done',
    )
    await until('it to be held', async () => (await sh(a.client, spec.container, 'ls /srv/data')) === 'held')
    await t.rejects(give(a, spec, {}), { code: 'BUSY' })
    t.equal(await sh(a.client, spec.container, 'ls /srv/data'), 'held', 'still mounted')
    await stage.remove(a, { spec, ...rest })
    t.equal(statSync(join(volume, 'held')).uid, 0)
  })

  await t.test('a live move takes it along, with what is open in it', async (t) => {
    if (criu.path === null) return t.comment(`no live moves on this machine: ${criu.reason}`)
    const places = new Map([
      [a, directory('on-a')],
      [b, directory('on-b')],
    ])
    const launched = await stage.launch(a)
    const { container } = launched.spec
    writeFileSync(join(places.get(a) as string, 'before'), 'was here\n')
    await give(a, launched.spec, at(places.get(a) as string))
    // A file that grows, one that is open under a name that has gone, and one that has no name at all.
    const holder = `exec 3>> /srv/data/log 4<> /srv/data/sub/gone 5<> /srv/data/ghost
echo other >&4; ln /srv/data/sub/gone /srv/data/name; rm /srv/data/sub/gone; echo ghost >&5; rm /srv/data/ghost
echo > /tmp/open; while :; do echo line >&3; sleep 0.05; done`
    await sh(a.client, container, `mkdir /srv/data/sub; cat > /tmp/holder <<'END'\n${holder}\nEND\n`)
    await sh(
      a.client,
      container,
      'setsid sh /tmp/holder >/dev/null 2>/tmp/holder.err </dev/null & until [ -e /tmp/open ]; do usleep 1000; done',
    )
    let from = a
    let to = b
    for (const hop of [1, 2]) {
      const spec = { ...launched.spec, devices: at(places.get(to) as string) }
      await move(from, to, spec, places.get(from) as string, places.get(to) as string)
      const [here, there] = [lines(places.get(to) as string), lines(places.get(from) as string)]
      await until(`it to write on ${to.name}`, () => lines(places.get(to) as string) > here)
      t.equal(lines(places.get(from) as string), there, 'and no more on the other')
      t.equal(await sh(to.client, container, 'cat /srv/data/before /srv/data/name'), 'was here\nother', `hop ${hop}`)
      ;[from, to] = [to, from]
    }
    await stage.remove(a, launched)
    t.ok(lines(places.get(a) as string) > 0, 'deleted, and it is there')
  })

  async function move(from: TestHost, to: TestHost, spec: EngineSpec, here: string, there: string): Promise<void> {
    await stage.moveUntilCopied(from, to, spec)
    execFileSync('bash', [
      '-c',
      'rm -rf "$1"; mkdir -p "$1"; tar -C "$0" --xattrs -cf - . | tar -C "$1" --xattrs -xpf -',
      here,
      there,
    ])
    const { container, epoch } = spec
    const sum = async (host: TestHost, tree: string) =>
      (await host.client.call('hashTree', { container, epoch, changed: null, mostBytes: 1 << 26, directory: tree }))
        .hash
    t.equal(await sum(from, here), await sum(to, there), 'the same tree')
    await to.client.call('restore', { container, epoch, directory: images })
    await stage.finish(from, to, spec)
  }
})

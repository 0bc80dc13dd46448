// A container's disk exchanged for another tree: what was written since is gone, every kind of file is as it was, and owners become the
// container's own when the tree was another one's.

import { execFileSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import type { EngineClient, EngineSpec } from '../src/index.ts'
import { reasonToSkip } from './engine-program.ts'
import { OneHost } from './one-host.ts'
import { run } from './run-inside.ts'

let stage: OneHost
let client: EngineClient

async function launch(test: Test, serial: number): Promise<{ spec: EngineSpec; upper: string }> {
  const spec = stage.spec(serial, { name: `disk-${serial}` })
  const { upper } = await client.call('create', { spec })
  test.teardown(() => client.call('delete', { container: spec.container, epoch: 1 }))
  return { spec, upper }
}

async function sh(container: string, script: string): Promise<string> {
  const { code, output } = await run(client, container, script)
  if (code !== 0) throw new Error(`${script}: ${code}: ${output}`)
  return output
}

const start = ({ container, epoch }: EngineSpec) => client.call('start', { container, epoch })
const stop = ({ container, epoch }: EngineSpec) => client.call('stop', { container, epoch, timeoutMs: 10_000 })

/** What the container itself sees of its files: names, kinds, owners, modes, links, sizes. */
const listing = 'cd / && ls -ln bin/missing srv srv/dir 2>&1 | sed "s/  */ /g" | cut -d" " -f1-5,9-'
const mess = `mkdir -p /srv/dir && echo one > /srv/file && ln /srv/file /srv/second && ln -s file /srv/link &&
  mkfifo /srv/pipe && chown 7:8 /srv/dir && chmod 2750 /srv/dir && echo x > /srv/suid && chown 9:9 /srv/suid && chmod 4755 /srv/suid &&
  rm -f /etc/greeting`

t.test('the disk of a container is replaced', { skip: reasonToSkip }, async (t) => {
  stage = await OneHost.make('disk', 76)
  t.teardown(() => stage.network.close())
  client = stage.client

  await t.test('by a copy of what it was: later changes are gone, and it starts on it', async (t) => {
    const { spec, upper } = await launch(t, 1)
    const { container } = spec
    await start(spec)
    await sh(container, mess)
    const before = await sh(container, listing)
    await stop(spec)
    const incoming = join(dirname(upper), 'incoming')
    execFileSync('cp', ['-a', upper, incoming])
    await start(spec)
    await sh(container, 'echo two >> /srv/file; rm -r /srv/dir; echo new > /srv/new; rm /srv/second')
    await t.rejects(
      client.call('replaceDisk', { container, epoch: 1, directory: incoming, uidBase: spec.identity.uidBase }),
      { code: 'WRONG_STATE' },
      'not under a running one',
    )
    await stop(spec)
    const { uidBase } = spec.identity
    const answer = await client.call('replaceDisk', { container, epoch: 1, directory: incoming, uidBase })
    t.match(answer, { state: 'stopped' })
    t.notOk(existsSync(incoming), 'the old disk is removed')
    await start(spec)
    t.equal(await sh(container, listing), before)
    t.equal(await sh(container, 'cat /srv/second; ls /srv/new 2>/dev/null || true'), 'one')
    await sh(container, 'echo more >> /srv/file')
    t.equal(await sh(container, 'cat /srv/second'), 'one\nmore', 'two names are one file still')
  })

  await t.test('by another container’s: owners, set-id bits, ACLs and capabilities become its own', async (t) => {
    const from = await launch(t, 2)
    const to = await launch(t, 3)
    await start(from.spec)
    await sh(from.spec.container, mess)
    const before = await sh(from.spec.container, listing)
    await stop(from.spec)
    const base = from.spec.identity.uidBase
    const acl = spawnable('setfacl', ['-m', `u:${base + 5}:r`, join(from.upper, 'srv/file')])
    const capable = spawnable('setcap', ['-n', String(base), 'cap_net_raw+ep', join(from.upper, 'srv/suid')])
    const incoming = join(dirname(to.upper), 'incoming')
    execFileSync('cp', ['-a', from.upper, incoming])
    for (const name of ['hostname', 'machine-id', 'hosts']) execFileSync('rm', ['-f', join(incoming, 'etc', name)])
    const { container } = to.spec
    await client.call('replaceDisk', { container, epoch: 1, directory: incoming, uidBase: base })
    const own = to.spec.identity.uidBase
    const outside = owners(to.upper).filter((uid) => uid < own || uid >= own + 65_536)
    t.same(outside, [], 'nothing is the other one’s')
    await start(to.spec)
    t.equal(await sh(container, listing), before)
    t.equal(await sh(container, 'hostname; cat /etc/hostname'), 'disk-3\ndisk-3')
    if (acl) {
      const text = execFileSync('getfacl', ['-n', '-p', join(to.upper, 'srv/file')], { encoding: 'utf8' })
      t.match(text, new RegExp(`user:${own + 5}:r--`))
    }
    if (capable) {
      const text = execFileSync('getcap', ['-n', join(to.upper, 'srv/suid')], { encoding: 'utf8' })
      t.match(text, new RegExp(`cap_net_raw.*rootid=${own}`))
    }
  })

  await t.test('only by a directory of its own', async (t) => {
    const { spec, upper } = await launch(t, 4)
    const call = (directory: string, uidBase = spec.identity.uidBase) =>
      client.call('replaceDisk', { container: spec.container, epoch: 1, directory, uidBase })
    for (const bad of ['/etc', join(dirname(upper), 'upper'), join(dirname(upper), 'a/../../x'), 'relative']) {
      await t.rejects(call(bad), { code: 'BAD_REQUEST' }, bad)
    }
    await t.rejects(call(join(dirname(upper), 'missing')), { code: 'BAD_REQUEST' })
    await t.rejects(call(join(dirname(upper), 'incoming'), 0), { code: 'BAD_REQUEST' }, 'root’s own uids')
    t.ok(statSync(upper).isDirectory())
  })
})

/** False where the tool is missing: then that part says nothing. */
function spawnable(command: string, args: string[]): boolean {
  try {
    execFileSync(command, args, { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

const owners = (directory: string): number[] =>
  execFileSync('find', [directory, '-printf', '%U %G\n'], { encoding: 'utf8' }).trim().split(/\s/).map(Number)

// Files, processes and figures of a real container, asked from outside: what is shown, what is written with which owner, and that
// no name inside leads the engine, which is root, out of the container or to the kernel.

import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ExecUser, InsideResult } from '@drover/protocol'
import t from 'tap'
import { reasonToSkip } from './engine-program.ts'
import { OneHost } from './one-host.ts'
import { sh as said } from './run-inside.ts'

t.test('inside from outside', { skip: reasonToSkip }, async (t) => {
  const stage = await OneHost.make('a', 77)
  t.teardown(() => stage.network.close())
  const { client } = stage
  const spec = stage.spec(1, { name: 'web' })
  const { container, identity } = spec
  const { uidBase } = identity
  const { upper } = await client.call('create', { spec })
  await client.call('start', { container, epoch: 1 })

  const sh = (script: string, user: ExecUser | null = null) => said(client, container, script, user)
  const kept = { mode: null, uid: null, gid: null }
  const write = (path: string, text: string, owner: object = {}) => {
    const dataBase64 = Buffer.from(text).toString('base64')
    return client.call('fileWrite', { container, path, offset: 0, dataBase64, truncate: true, ...kept, ...owner })
  }
  const read = async (path: string): Promise<string> => {
    const { dataBase64 } = await client.call('fileRead', { container, path, offset: 0, limit: 1000 })
    return Buffer.from(dataBase64, 'base64').toString()
  }

  await t.test('a new file has the owner and mode asked for; one that is there keeps its own', async (t) => {
    t.match(await write('/root/a', 'hello', { uid: 1000, gid: 100, mode: 0o4750 }), { type: 'file', sizeBytes: 5 })
    t.equal(await sh('stat -c "%u %g %a" /root/a; cat /root/a'), '1000 100 4750\nhello')
    t.match(await write('/root/a', 'bye'), { uid: 1000, gid: 100, sizeBytes: 3 })
    t.match(await write('/root/usual', ''), { uid: 0, gid: 0, mode: 0o644 })
    t.equal(statSync(join(upper, 'root/a')).uid, uidBase + 1000)
  })

  await t.test('pieces make a whole', async (t) => {
    await write('/root/b', 'one ')
    const dataBase64 = Buffer.from('two').toString('base64')
    await client.call('fileWrite', { container, path: '/root/b', offset: 4, dataBase64, truncate: false, ...kept })
    t.equal(await sh('cat /root/b'), 'one two')
    const part = await client.call('fileRead', { container, path: '/root/b', offset: 4, limit: 2 })
    t.same(part, { dataBase64: Buffer.from('tw').toString('base64'), sizeBytes: 7 })
  })

  await t.test('a tmpfs that only exists inside is written as well', async (t) => {
    t.match(await write('/run/mark', 'x', { uid: 7, gid: 8 }), { uid: 7, gid: 8 })
    t.equal(await sh('stat -c "%u %g" /run/mark'), '7 8')
    t.match(await write('/dev/shm/mark', 'x'), { uid: 0 })
  })

  await t.test('directories and links are made, listed by name and looked at', async (t) => {
    const make = (path: string, type: 'directory' | 'symlink', target: string | null = null) =>
      client.call('fileMake', { container, path, type, target, mode: null, uid: 5, gid: 6 })
    t.match(await make('/root/d', 'directory'), { type: 'directory', uid: 5, mode: 0o755 })
    t.match(await make('/root/d', 'directory'), { type: 'directory' }, 'again: as it is')
    t.match(await make('/root/d/link', 'symlink', '/root/a'), { type: 'symlink', target: '/root/a' })
    t.match(await make('/root/d/link', 'symlink', '../b'), { type: 'symlink', target: '../b' }, 'replaced')
    await write('/root/d/z', 'z')
    const { entries, next } = await client.call('fileList', { container, path: '/root/d', after: null })
    t.match(entries, [
      { name: 'link', type: 'symlink', uid: 5, gid: 6 },
      { name: 'z', type: 'file' },
    ])
    t.equal(next, null)
    t.match((await client.call('fileList', { container, path: '/root/d', after: 'link' })).entries, [{ name: 'z' }])
    t.match(await client.call('fileStat', { container, path: '/root/d/link', follow: true }), { sizeBytes: 7 })
    t.match(await client.call('fileStat', { container, path: '/root/d/link', follow: false }), { type: 'symlink' })
  })

  await t.test('a command runs as a user of the container, with its groups and home', async (t) => {
    await write(
      '/etc/passwd',
      'root:x:0:0:root:/root:/bin/sh\nann:x:1001:1002::/tmp:/bin/sh\nbad:x:99999999:0::/:/bin/sh\n',
    )
    await write('/etc/group', 'wheel:x:10:bob,ann\nann:x:1002:\nmanna:x:11:anna\n')
    t.equal(
      await sh('id -u; id -g; id -G; echo $HOME $USER; pwd', { name: 'ann' }),
      '1001\n1002\n1002 10\n/tmp ann\n/tmp',
    )
    await t.rejects(sh('id', { name: 'bob' }), { code: 'BAD_REQUEST', message: /no user `bob`/ })
    await t.rejects(sh('id', { name: 'bad' }), { code: 'BAD_REQUEST' })
  })

  await t.test('many entries come in several answers', async (t) => {
    await sh('mkdir /root/many; i=0; while [ $i -lt 1100 ]; do : > /root/many/f$i; i=$((i+1)); done')
    const first = await client.call('fileList', { container, path: '/root/many', after: null })
    const second = await client.call('fileList', { container, path: '/root/many', after: first.next })
    t.equal(first.entries.length, 1000)
    t.equal(second.entries.length, 100)
    t.equal(new Set([...first.entries, ...second.entries].map(({ name }) => name)).size, 1100)
  })

  await t.test('what is missing or no file says so', async (t) => {
    await t.rejects(read('/root/nothing'), { code: 'FILE_NOT_FOUND' })
    await t.rejects(write('/root/no/such/place', ''), { code: 'FILE_NOT_FOUND' })
    await t.rejects(read('/root'), { code: 'WRONG_STATE', message: /it is a directory, no file/ })
    await t.rejects(read('/dev/zero'), { code: 'WRONG_STATE', message: /character-device/ })
    await t.rejects(write('relative', ''), { code: 'BAD_REQUEST' })
    await t.rejects(write('/root/..', ''), { code: 'WRONG_STATE' })
    const bad = { container, path: '/root/x', offset: 0, dataBase64: 'a*==', truncate: true, ...kept }
    await t.rejects(client.call('fileWrite', bad), { code: 'BAD_REQUEST', message: /base64/ })
  })

  await t.test('a link inside leads nowhere outside', async (t) => {
    const outside = join(stage.network.directory, 'outside')
    writeFileSync(outside, 'of the host')
    const links: [string, string][] = [
      ['absolute', outside],
      ['upwards', `${'../'.repeat(30)}${outside.slice(1)}`],
    ]
    for (const [name, target] of links) {
      await sh(`ln -s ${target} /root/${name}`)
      await t.rejects(read(`/root/${name}`), { code: 'FILE_NOT_FOUND' }, name)
      await t.rejects(write(`/root/${name}`, 'owned'), name)
    }
    t.equal(readFileSync(outside, 'utf8'), 'of the host')
    await sh('ln -s /proc/1/root /root/magic')
    await t.rejects(read('/root/magic/etc/passwd'), 'a magic link is not followed')
  })

  await t.test('the kernel’s own files are not written or read with the rights of the host’s root', async (t) => {
    const pattern = readFileSync('/proc/sys/kernel/core_pattern', 'utf8')
    await sh('ln -s /proc/sys/kernel/core_pattern /root/motd; mkfifo /root/fifo')
    await t.rejects(write('/root/motd', '|/evil'), { code: 'WRONG_STATE' })
    await t.rejects(read('/proc/uptime'), { code: 'WRONG_STATE', message: /use exec/ })
    await t.rejects(read('/root/fifo'), { code: 'WRONG_STATE', message: /it is a fifo/ })
    await t.rejects(write('/proc/new', ''), { code: 'WRONG_STATE' })
    await t.rejects(write('/sys/kernel/x', ''), { code: 'WRONG_STATE' })
    t.equal(readFileSync('/proc/sys/kernel/core_pattern', 'utf8'), pattern)
  })

  await t.test('processes and figures, also of a frozen container', async (t) => {
    await client.call('freeze', { container, epoch: 1 })
    t.equal(await read('/root/a'), 'bye')
    const { processes } = await client.call('processes', { container })
    t.match(
      processes.find(({ pid }) => pid === 1),
      { uid: 0, command: /init$/, threads: 1, hostPid: Number },
    )
    t.match(
      processes.map(({ command }) => command),
      [/init$/, /sleep 1000/],
    )
    const usage: InsideResult<'usage'> = await client.call('usage', { container, fileSystems: true })
    t.equal(usage.processes, processes.length)
    t.ok(usage.cpuUsec > 0 && usage.memoryBytes > 0)
    t.match(usage.fileSystems[0], { path: '/', type: 'overlay' })
    t.ok(usage.fileSystems.some(({ path, type }) => path === '/run' && type === 'tmpfs'))
    t.notOk(usage.fileSystems.some(({ path }) => path.startsWith('/proc')))
    await client.call('thaw', { container, epoch: 1 })
  })

  await t.test('a stopped container’s files are read and written', async (t) => {
    await client.call('kill', { container, epoch: 1, signal: 9 })
    t.equal(await read('/root/a'), 'bye')
    await write('/root/while-stopped', 'yes', { uid: 3 })
    t.match(await read('/etc/inittab'), /sysinit/, 'of the image')
    t.match(await client.call('fileStat', { container, path: '/usr/etc/inittab', follow: true }), { uid: 0 })
    t.same((await client.call('processes', { container })).processes, [])
    t.match(await client.call('usage', { container, fileSystems: true }), { fileSystems: [{ path: '/' }] })
    await client.call('start', { container, epoch: 1 })
    t.equal(await sh('cat /root/while-stopped; stat -c %u /root/while-stopped'), 'yes3')
  })

  await client.call('delete', { container, epoch: 1 })
})

// Another name for a real container: its hostname as it runs and after a start, and its own files where they say the old one.

import t from 'tap'
import { reasonToSkip } from './engine-program.ts'
import { noLimits } from './engine-spec.ts'
import { OneHost } from './one-host.ts'
import { sh as said } from './run-inside.ts'

t.test('a container gets another name', { skip: reasonToSkip }, async (t) => {
  const stage = await OneHost.make('a', 77)
  t.teardown(() => stage.network.close())
  const { client, host } = stage
  const { container } = await stage.start(1, { name: 'web' })
  const sh = (script: string) => said(client, container, script)
  const rename = (name: string | null) => client.call('update', { container, epoch: 1, limits: noLimits, name })

  await t.test('as it runs: hostname and files, and nothing else in them', async (t) => {
    t.equal(await sh('hostname'), 'web')
    await sh('printf "10.0.0.1 web web-2 # web\\n10.0.0.2 other web\\n" >> /etc/hosts')
    const before = await client.call('get', { container })
    t.match(await rename('shop'), { name: 'shop', state: 'running', initPid: before.initPid })
    t.equal(await sh('hostname; cat /etc/hostname'), 'shop\nshop')
    const hosts = await sh('cat /etc/hosts; stat -c "%a %u" /etc/hosts')
    t.match(hosts, /^127\.0\.0\.1 localhost\n127\.0\.1\.1 shop\n::1 localhost/)
    t.match(hosts, /\n10\.0\.0\.1 shop web-2 # web\n10\.0\.0\.2 other shop\n644 0$/)
    t.match(await rename('shop'), { name: 'shop' }, 'again: as it is')
    t.match(await rename(null), { name: 'shop' }, 'null: it stays')
  })

  await t.test('stopped: it starts with the new one', async (t) => {
    await client.call('kill', { container, epoch: 1, signal: 9 })
    t.match(await rename('a-much-longer-name'), { name: 'a-much-longer-name', state: 'stopped' })
    await client.call('start', { container, epoch: 1 })
    t.equal(await sh('hostname; cat /etc/hostname'), 'a-much-longer-name\na-much-longer-name')
    t.match(await sh('cat /etc/hosts'), /\n127\.0\.1\.1 a-much-longer-name\n/)
  })

  await t.test('what was set by hand inside stays; a file that is not there is none to change', async (t) => {
    await sh('echo mine > /etc/hostname; hostname mine; rm /etc/hosts; mkdir /etc/hosts')
    t.match(await rename('x'), { name: 'x' })
    t.equal(await sh('hostname; cat /etc/hostname'), 'mine\nmine')
    await sh('rmdir /etc/hosts; ln -s /proc/sys/kernel/core_pattern /etc/hosts')
    t.match(await rename('y'), { name: 'y' }, 'nor a link to the kernel')
    await sh('rm /etc/hosts')
  })

  await t.test('an engine that is started anew knows it', async (t) => {
    await host.killEngine()
    const again = await host.startEngine()
    t.match(await again.call('get', { container }), { name: 'y' })
    await again.call('delete', { container, epoch: 1 })
  })
})

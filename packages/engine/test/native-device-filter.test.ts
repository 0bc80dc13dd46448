// The list of devices, as a program on the container's cgroup2 and as v1's controller keeps it: what is on it can be opened and made, nothing
// else, and it changes as the container runs.

import { existsSync } from 'node:fs'
import t from 'tap'
import type { EngineDevices as Devices } from '../src/index.ts'
import { reasonToSkip } from './engine-program.ts'
import { OneHost } from './one-host.ts'

/** One that every user may open, and that is on no list. */
const device = ['/dev/fuse', '/dev/kvm', '/dev/net/tun'].find((path) => existsSync(path)) ?? ''
const denied = /Operation not permitted/

for (const list of ['program', 'controller']) {
  const missing =
    list === 'controller' && !existsSync('/sys/fs/cgroup/devices/devices.list') && 'no such controller here'
  t.test(`the list of devices as a ${list}`, { skip: reasonToSkip || missing }, async (t) => {
    const environment = { DROVER_DEVICE_LIST: list }
    const stage = await OneHost.make('devices', 85, undefined, environment)
    t.teardown(() => stage.network.close())

    await t.test('what is not on it is refused, also to the root of a privileged container', async (t) => {
      await stage.start(1, { security: { privileged: true } })
      await stage.start(2)
      t.notMatch(stage.host.log(), /no list of devices/, 'this host lets the engine filter')
      t.equal(
        stage.host.hierarchiesOf('c1').includes('devices'),
        list === 'controller',
        'a cgroup of v1 only for its list',
      )
      for (const container of ['c1', 'c2']) {
        t.match(await stage.sh(container, 'busybox head -c 1 /dev/zero | wc -c; echo x > /dev/null'), {
          code: 0,
          output: '1',
        })
        t.match(await stage.sh(container, 'busybox mknod /tmp/disk b 8 0'), { code: 1, output: denied })
        t.match(await stage.sh(container, 'busybox mknod /tmp/memory c 1 1'), { code: 1, output: denied })
      }
      t.match(await stage.sh('c1', 'busybox mknod /tmp/zero c 1 5 && busybox head -c 1 /tmp/zero | wc -c'), {
        code: 0,
        output: '1',
      })
    })

    const needs = device === '' ? 'needs /dev/fuse, /dev/kvm or /dev/net/tun' : false
    await t.test('given and taken away as it runs, links and all', { skip: needs }, async (t) => {
      const { limits } = stage.spec(2)
      const have = (devices: Devices) => stage.client.call('update', { container: 'c2', epoch: 1, limits, devices })
      const open = (path: string) => stage.sh('c2', `exec 3< ${path}`)
      await have({ given: { type: 'char', source: device, path: '/dev/given', readonly: true } })
      t.notMatch((await open('/dev/given')).output, denied, 'the list lets it through')
      t.match(
        await stage.sh('c2', 'ln /dev/given /dev/kept && : > /dev/given'),
        { output: /not permitted|Permission denied/ },
        'read only',
      )
      await have({})
      t.match(await open('/dev/kept'), { code: /[^0]/, output: denied }, 'a link that it kept is of no use')
      await stage.host.killEngine()
      await stage.host.startEngine(environment)
      t.match(await open('/dev/kept'), { code: /[^0]/, output: denied }, 'nor with the next engine')
      await have({ given: { type: 'char', source: device, path: '/dev/given', readonly: true } })
      t.notMatch((await open('/dev/kept')).output, denied, 'which changes the list in its turn')
      if (list === 'controller') {
        await stage.host.killEngine()
        await stage.host.startEngine()
        t.notMatch((await open('/dev/kept')).output, denied, 'so does one that uses a program instead')
        await have({})
        t.match(await open('/dev/kept'), { code: /[^0]/, output: denied })
        await have({ given: { type: 'char', source: device, path: '/dev/given', readonly: true } })
        t.notMatch((await open('/dev/kept')).output, denied)
      }
      for (const container of ['c1', 'c2']) await stage.client.call('delete', { container, epoch: 1 })
      t.same(stage.host.leftovers(), [])
    })
  })
}

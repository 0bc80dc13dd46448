// Devices of a container: given and taken as it runs, there again after a restart, of several at once; refused by name when the host
// has none. What a move takes along is in native-device-moves.test.ts.

import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { removeDirectory } from '@drover/testkit/temporary'
import t, { type Test } from 'tap'
import type { EngineDevice as Device, EngineDevices as Devices } from '../src/index.ts'
import { reasonToSkip } from './engine-program.ts'
import { noLimits } from './engine-spec.ts'
import { until } from './native-hosts.ts'
import { OneHost } from './one-host.ts'
import { sh } from './run-inside.ts'

t.test('devices of a container', { skip: reasonToSkip, timeout: 300_000 }, async (t) => {
  const hardware = mkdtempSync(join(tmpdir(), 'drover-hardware-'))
  mkdirSync(join(hardware, 'dev'))
  execFileSync('mknod', [join(hardware, 'dev/nvidia0'), 'c', '1', '5'])
  const stage = await OneHost.make('a', 81, () => {}, { DROVER_HARDWARE: hardware })
  t.teardown(async () => {
    await stage.network.close()
    await removeDirectory(hardware)
  })
  const data = join(stage.network.directory, 'data')
  mkdirSync(data)
  writeFileSync(join(data, 'file'), 'of the host\n')
  const { host } = stage
  let client = stage.client
  const start = (test: Test, devices: Devices) => stage.startFor(test, { devices })
  const give = (container: string, devices: Devices) =>
    client.call('update', { container, epoch: 1, limits: noLimits, devices })
  /** Any of the kernel's announcements makes the engine look. */
  const announce = () => writeFileSync('/sys/class/mem/zero/uevent', 'change')
  const read = (container: string, path: string) => sh(client, container, `head -c 4 ${path} | wc -c`)
  const fuse: Devices = { fuse: { type: 'char', source: '/dev/fuse', mode: 0o666 } }

  await t.test('a character device: given and taken as it runs, and of two containers', async (t) => {
    const first = await start(t, {})
    t.equal(await sh(client, first, '[ -e /dev/fuse ] || echo none'), 'none')
    const answer = await give(first, fuse)
    t.same(answer.devices, fuse)
    t.equal(await sh(client, first, 'exec 3<> /dev/fuse && echo opened'), 'opened')
    t.equal(await sh(client, first, 'stat -c "%a %u %g %t:%T" /dev/fuse'), '666 0 0 a:e5')
    const second = await start(t, { tun: { type: 'char', source: '/dev/net/tun' }, ...fuse })
    t.equal(await sh(client, second, 'exec 3<> /dev/fuse 4<> /dev/net/tun && echo opened'), 'opened')
    // A copy of the node that is left behind opens nothing any more.
    await sh(client, first, 'mkdir /kept')
    execFileSync('mknod', [
      '-m',
      '666',
      join((await client.call('get', { container: first })).upper, 'kept/fuse'),
      'c',
      '10',
      '229',
    ])
    await give(first, {})
    t.equal(await sh(client, first, '[ -e /dev/fuse ] || echo none'), 'none')
    if (host.hasDeviceCgroup()) t.match(await sh(client, first, 'exec 3<> /kept/fuse'), /not permitted/)
    t.equal(await sh(client, second, 'exec 3<> /dev/fuse && echo opened'), 'opened', 'the other one has it still')
  })

  await t.test('read-only is read-only, a block device is one', async (t) => {
    const container = await start(t, {
      zeros: { type: 'char', source: '/dev/zero', path: '/dev/deep/zeros', readonly: true },
    })
    t.equal(await read(container, '/dev/deep/zeros'), '4')
    await t.rejects(give(container, { disk: { type: 'block', source: '/dev/zero' } }), {
      code: 'DEVICE_NOT_FOUND',
      message: /disk: \/dev\/zero is no block device/,
    })
    await t.rejects(give(container, { disk: { type: 'char', source: '/dev/nowhere' } }), { code: 'DEVICE_NOT_FOUND' })
    t.equal(await read(container, '/dev/deep/zeros'), '4', 'a refusal leaves all as it was')
    if (statSync('/dev/loop7', { throwIfNoEntry: false }) === undefined) return
    await give(container, { disk: { type: 'block', source: '/dev/loop7', readonly: true } })
    t.match(
      await sh(client, container, 'stat -c %F /dev/loop7; exec 3< /dev/loop7 && echo opened'),
      /block special file/,
    )
    t.match(await sh(client, container, 'exec 3> /dev/loop7'), /not permitted|denied|Read-only/)
  })

  await t.test('directories and files of the host: owners fit, read-only or not, live', async (t) => {
    const container = await start(t, { data: { type: 'bind', source: data, path: '/srv/data' } })
    t.equal(await sh(client, container, 'cat /srv/data/file; stat -c %u /srv/data/file'), 'of the host\n0')
    t.equal(await sh(client, container, 'echo new > /srv/data/made && echo done'), 'done')
    t.equal(statSync(join(data, 'made')).uid, 0, 'root inside is the owner that the host sees')
    await give(container, {
      file: { type: 'bind', source: join(data, 'file'), path: '/srv/of-host', readonly: true },
    })
    t.equal(await sh(client, container, 'cat /srv/of-host; ls /srv/data'), 'of the host')
    t.match(await sh(client, container, 'echo x > /srv/of-host'), /Read-only/)
    await t.rejects(give(container, { file: { type: 'bind', source: join(data, 'file'), path: '/etc/linked' } }), {
      message: /\/etc\/linked is a link in the container: write \/usr\/etc\/linked/,
    })
    t.equal(await sh(client, container, 'cat /srv/of-host'), 'of the host', 'and all is as it was')
    await client.call('stop', { container, epoch: 1, timeoutMs: 5000 })
    await client.call('start', { container, epoch: 1 })
    t.equal(await sh(client, container, 'cat /srv/of-host'), 'of the host', 'after a restart')
    await host.killEngine()
    client = await host.startEngine({ DROVER_HARDWARE: hardware })
    await give(container, {})
    t.equal(await sh(client, container, 'cat /srv/of-host'), '', 'taken away by the next engine')
  })

  await t.test('a second link, with an address, on a bridge', async (t) => {
    const container = await start(t, {})
    await give(container, { lan: { type: 'nic', bridge: 'br0', interface: 'eth1', ipv4: '10.82.0.1/24' } })
    t.match(await sh(client, container, 'ip addr show eth1'), /UP.*10\.82\.0\.1\/24/s)
    await t.rejects(give(container, { lan: { type: 'nic', bridge: 'br9', interface: 'eth2' } }), { message: /br9/ })
    await give(container, {})
    t.match(await sh(client, container, 'ip addr show eth1'), /can't find|does not exist/)
  })

  const lan = (bridge: string, last: number, more: Partial<Device> = {}): Devices => ({
    lan: { type: 'nic', bridge, interface: 'eth1', ipv4: `10.82.1.${last}/24`, ...more } as Device,
  })
  const reaches = async (container: string, last: number) =>
    /1 packets received/.test(await sh(client, container, `ping -c 1 -w 5 -W 5 10.82.1.${last}`))

  await t.test('a second link: its sizes and IPv6 address; replaced as it runs', async (t) => {
    const container = await start(t, lan('br0', 1, { mtu: 1400, queue: 77, ipv6: 'fd82::1/64' }))
    t.match(await sh(client, container, 'ip link show eth1'), /mtu 1400 .*qlen 77/)
    t.match(await sh(client, container, 'ip addr show eth1'), /inet6 fd82::1\/64/)
    await give(container, lan('br0', 3, { mtu: 1300 }))
    t.match(await sh(client, container, 'ip addr show eth1'), /mtu 1300 .*10\.82\.1\.3/s)
  })

  await t.test('isolated links of a bridge don’t reach each other', async (t) => {
    const first = await start(t, lan('br0', 1, { isolated: true }))
    await start(t, lan('br0', 2, { isolated: true }))
    await start(t, lan('br0', 3))
    t.ok(await reaches(first, 3))
    t.notOk(await reaches(first, 2))
    await give(first, lan('br0', 1))
    t.ok(await reaches(first, 2), 'and not any more, as it runs')
  })

  await t.test('memory as a file system, of a size and an owner, live', async (t) => {
    const container = await start(t, {
      scratch: { type: 'tmpfs', path: '/srv/scratch', sizeBytes: 1 << 20, mode: 0o700, uid: 5 },
    })
    t.equal(
      await sh(client, container, 'stat -c "%a %u %g" /srv/scratch; touch /srv/scratch/x && echo made'),
      '700 5 0\nmade',
    )
    t.match(await sh(client, container, 'head -c 2000000 /dev/zero > /srv/scratch/x'), /No space left|I\/O error/)
    await give(container, { scratch: { type: 'tmpfs', path: '/srv/scratch', sizeBytes: 4 << 20 } })
    t.equal(await sh(client, container, 'head -c 2000000 /dev/zero > /srv/scratch/x && echo fits'), 'fits')
    await give(container, {})
    t.equal(await sh(client, container, 'ls /srv/scratch'), '')
  })

  await t.test(
    'directories: changed as it runs, with what is mounted below, and left out where there is none',
    async (t) => {
      const bind = (more: Partial<Device> = {}): Devices => ({
        data: { type: 'bind', source: data, path: '/srv/data', ...more } as Device,
      })
      mkdirSync(join(data, 'below'))
      // No tmpfs: before Linux 6.3 its owners can't be mapped.
      mkdirSync(join(stage.network.directory, 'elsewhere'))
      host.run(['mount', '--bind', join(stage.network.directory, 'elsewhere'), join(data, 'below')])
      host.run(['touch', join(data, 'below/deep')])
      const container = await start(t, bind())
      t.equal(await sh(client, container, 'ls /srv/data/below; touch /srv/data/w && echo written'), 'written')
      await give(container, bind({ readonly: true, recursive: true }))
      t.equal(await sh(client, container, 'ls /srv/data/below'), 'deep')
      t.match(await sh(client, container, 'touch /srv/data/w'), /Read-only/)
      t.match(await sh(client, container, 'touch /srv/data/below/w'), /Read-only/)
      await give(container, bind({ source: join(data, 'nowhere'), required: false }))
      t.equal(await sh(client, container, 'ls /srv/data'), '')
      host.run(['umount', join(data, 'below')])
    },
  )

  await t.test('nodes by their number, and such as come later', async (t) => {
    const late = join(hardware, 'late')
    const container = await start(t, {
      numbered: { type: 'char', path: '/dev/numbered', major: 1, minor: 5, mode: 0o666 },
      late: { type: 'char', source: late, path: '/dev/late', required: false, mode: 0o666 },
    })
    t.equal(await read(container, '/dev/numbered'), '4')
    t.match(await read(container, '/dev/late'), /No such file|can't open/)
    execFileSync('mknod', [late, 'c', '1', '5'])
    announce()
    await until('the device', async () => (await read(container, '/dev/late')) === '4', 60_000)
    await t.rejects(give(container, { x: { type: 'char', path: '/dev/x', major: 1 } as Device }), {
      message: /all of `major`, `minor` and `path`/,
    })
  })

  await t.test('a GPU by its vendor; none is said by name', async (t) => {
    const container = await start(t, { card: { type: 'gpu', vendor: 'nvidia', mode: 0o666 } })
    t.equal(await read(container, '/dev/nvidia0'), '4')
    await t.rejects(give(container, { card: { type: 'gpu', vendor: 'amd' } }), {
      code: 'DEVICE_NOT_FOUND',
      message: /no GPU of vendor amd .*\/dev\/kfd/,
    })
  })

  await t.test('a USB device comes and goes as it is plugged', async (t) => {
    const container = await start(t, { serial: { type: 'usb', vendor: '0403', product: '6001', mode: 0o666 } })
    const there = () => sh(client, container, 'head -c 4 /dev/bus/usb/001/002 | wc -c')
    t.match(await there(), /No such file|can't open/)
    const port = join(hardware, 'sys/bus/usb/devices/1-1')
    mkdirSync(port, { recursive: true })
    const facts = { idVendor: '0403', idProduct: '6001', busnum: '1', devnum: '2', dev: '1:5', serial: 'A1' }
    for (const [name, value] of Object.entries(facts)) writeFileSync(join(port, name), `${value}\n`)
    announce()
    await until('the device', async () => (await there()) === '4', 60_000)
    const exactly = { type: 'usb', vendor: '0403', mode: 0o666, serial: 'A1', bus: 1, address: 2 } as const
    await give(container, { serial: exactly })
    t.equal(await there(), '4', 'by serial number and place')
    for (const other of [{ serial: 'B2' }, { bus: 2 }, { address: 3 }]) {
      await give(container, { serial: { ...exactly, ...other } })
      t.match(await there(), /No such file|can't open/, JSON.stringify(other))
    }
    await give(container, { serial: exactly })
    execFileSync('rm', ['-r', port])
    announce()
    await until('its end', async () => (await there()) !== '4', 60_000)
  })

  await t.test('what can’t be meant is refused with field and rule', async (t) => {
    const container = await start(t, {})
    const table: [Devices, RegExp][] = [
      [{ x: { type: 'char', source: '/dev/../etc/shadow' } }, /x, field `source`/],
      [{ 'A b': { type: 'char', source: '/dev/zero' } } as Devices, /name `A b`/],
      [{ x: { type: 'disk' } } as unknown as Devices, /one of char, block/],
      [{ x: { type: 'nic', bridge: 'br0', interface: 'eth0' } }, /there already/],
      [{ x: { type: 'char', source: '/dev/zero' }, y: { type: 'bind', source: '/tmp', path: '/dev/zero' } }, /x and y/],
    ]
    for (const [devices, message] of table) await t.rejects(give(container, devices), { code: 'BAD_REQUEST', message })
    await t.rejects(give(container, { x: { type: 'char', source: '/dev/fuse', path: '/dev/shm/fuse' } }), {
      message: /not on the container's disk/,
    })
  })

  await t.test('nothing of them is left', async (t) => t.same(host.leftovers(), []))
})

// Which devices pin a container to its host, each with its reason; and which devices are no devices.

import { Value } from '@drover/schema'
import t from 'tap'
import { type Device, Device as DeviceSchema, describePins, pinsOf } from '../src/index.ts'

t.test('what is this host’s own pins; what is everywhere does not', async (t) => {
  const table: [Device, RegExp | null][] = [
    [{ type: 'char', source: '/dev/zero' }, null],
    [{ type: 'char', source: '/dev/kvm' }, /\/dev\/kvm is this host's/],
    [{ type: 'block', source: '/dev/sdb' }, /this host's/],
    [{ type: 'bind', source: '/srv', path: '/srv' }, /not said to be shared/],
    [{ type: 'bind', source: '/srv', path: '/srv', shared: true }, null],
    [{ type: 'nic', bridge: 'br1' }, /no address/],
    [{ type: 'nic', bridge: 'br1', ipv4: '10.0.0.5/24' }, null],
    [{ type: 'nic', bridge: 'br1', ipv6: 'fd00::5/64' }, null],
    [{ type: 'char', path: '/dev/fuse', major: 10, minor: 229 }, /char 10:229 is this host's/],
    [{ type: 'bind', source: '/srv', path: '/srv', shared: true, recursive: true }, /what is mounted below/],
    [{ type: 'tmpfs', path: '/scratch', sizeBytes: 4096 }, null],
    [{ type: 'gpu', vendor: 'any' }, /GPU/],
    [{ type: 'usb', vendor: '0403' }, /0403:any/],
    [{ type: 'proxy', listen: 'tcp:0.0.0.0:80', connect: 'tcp:127.0.0.1:80' }, null],
    [{ type: 'proxy', listen: 'udp:[::]:53', connect: 'udp:[::1]:53' }, null],
    [{ type: 'proxy', listen: 'unix:/run/web', connect: 'tcp:127.0.0.1:80' }, null],
    [
      { type: 'proxy', listen: 'tcp:192.0.2.7:80', connect: 'tcp:127.0.0.1:80' },
      /192.0.2.7:80 is an address of this host/,
    ],
  ]
  for (const [device, reason] of table) {
    const pins = pinsOf({ x: device })
    if (reason === null) t.same(pins, [], device.type)
    else t.match(describePins(pins), new RegExp(`^x \\(.*${reason.source}.*\\)$`), device.type)
  }
  t.same(pinsOf(undefined), [])
})

t.test('a device says what its type needs, and nothing else', async (t) => {
  const wrong: unknown[] = [
    { type: 'char', source: 'dev/zero' },
    { type: 'char', source: '/dev/../etc/shadow' },
    { type: 'bind', source: '/srv' },
    { type: 'nic', bridge: 'br 0' },
    { type: 'gpu', vendor: 'voodoo' },
    { type: 'usb', vendor: '403' },
    { type: 'char', source: '/dev/zero', shared: true },
    { type: 'char', path: '/dev/fuse', major: 10 },
    { type: 'tmpfs', path: '/scratch' },
    { type: 'nic', bridge: 'br1', mtu: 60 },
    { type: 'proxy', listen: 'tcp:localhost:80', connect: 'tcp:127.0.0.1:80' },
    { type: 'proxy', listen: 'tcp:0.0.0.0:65536', connect: 'tcp:127.0.0.1:80' },
    { type: 'proxy', listen: 'tcp:0.0.0.256:80', connect: 'tcp:127.0.0.1:80' },
    { type: 'proxy', listen: 'tcp:::1:80', connect: 'tcp:127.0.0.1:80' },
    { type: 'proxy', listen: 'unix:run/web', connect: 'tcp:127.0.0.1:80' },
  ]
  for (const device of wrong) t.notOk(Value.Check(DeviceSchema, device), JSON.stringify(device))
})

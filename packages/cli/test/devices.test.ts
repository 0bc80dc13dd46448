// KEY=VALUE of `drover device add`: what is sent, and what is refused before anything is sent.

import t from 'tap'
import { describeDevice, deviceOf, parseDeviceWord } from '../src/device-words.ts'
import { fakeCluster } from './fake-cluster.ts'

const words = (texts: string[]) => texts.reduce((before, text) => parseDeviceWord(text, before), {})

t.test('words become a device, and a line again', async (t) => {
  const device = deviceOf('x', words(['type=char', 'source=/dev/kvm', 'mode=0666', 'uid=5', 'readonly=true']))
  t.same(device, { type: 'char', source: '/dev/kvm', mode: 0o666, uid: 5, readonly: true })
  t.equal(describeDevice(device), 'source=/dev/kvm mode=0666 uid=5 readonly=true')
  const scratch = deviceOf('x', words(['type=tmpfs', 'path=/x', 'size=64MiB']))
  t.same(scratch, { type: 'tmpfs', path: '/x', sizeBytes: 64 << 20 })
  const lan = deviceOf('x', words(['type=nic', 'bridge=br1', 'isolated=true', 'mtu=1400']))
  t.same(lan, { type: 'nic', bridge: 'br1', isolated: true, mtu: 1400 })
  const fuse = deviceOf('x', words(['type=char', 'major=10', 'minor=229', 'path=/dev/fuse']))
  t.same(fuse, { type: 'char', major: 10, minor: 229, path: '/dev/fuse' })
})

t.test('add and rm send the change of one device', async (t) => {
  const cluster = await fakeCluster(t)
  const added = await cluster.drover(['device', 'add', 'web-1', 'data', 'type=bind', 'source=/srv', 'path=/srv'])
  t.equal(added.exitCode, 0, added.stderr)
  await cluster.drover(['device', 'rm', 'web-1', 'data', 'kvm'])
  t.same(cluster.writes, [
    ['POST', '/v1/containers/web-1/set', { devices: { data: { type: 'bind', source: '/srv', path: '/srv' } } }],
    ['POST', '/v1/containers/web-1/set', { devices: { data: null, kvm: null } }],
  ])
})

t.test('what can’t be meant is refused with what would be right, and nothing is sent', async (t) => {
  const cluster = await fakeCluster(t)
  const table: [string[], RegExp][] = [
    [['type=disk'], /one of char, block/],
    [['type=char'], /source= is missing/],
    [['type=char', 'source=/dev/kvm', 'bridge=br0'], /bridge= means nothing for type=char/],
    [['type=char', 'source=/dev/kvm', 'mode=9'], /three octal digits/],
    [['type=bind', 'source=/srv', 'path=/srv', 'shared=yes'], /true or false/],
    [['source'], /KEY=VALUE/],
    [['type=char', 'major=10', 'path=/dev/fuse'], /minor= is missing/],
    [['type=nic', 'bridge=br1', 'mtu=65536'], /a number from 68 to 65535/],
    [['type=tmpfs', 'path=/x', 'size=much'], /a size, like 64MiB/],
    [['type=proxy', 'listen=tcp:0.0.0.0:80'], /connect= is missing/],
  ]
  for (const [each, hint] of table) {
    const ran = await cluster.drover(['device', 'add', 'web-1', 'x', ...each])
    t.equal(ran.exitCode === 0, false, each.join(' '))
    t.match(ran.stderr, hint)
  }
  t.same(cluster.writes, [])
})

t.test('devices of a launch are flags, checked before anything is sent', async (t) => {
  const cluster = await fakeCluster(t)
  const ran = await cluster.drover([
    ...['launch', 'db', '--ephemeral', '--no-wait', '--device', 'data,type=bind,source=/srv,path=/data,readonly=true'],
    ...['--device', 'kvm,type=char,source=/dev/kvm'],
  ])
  t.equal(ran.exitCode, 0, ran.stderr)
  const data = { type: 'bind', source: '/srv', path: '/data', readonly: true }
  const devices = { data, kvm: { type: 'char', source: '/dev/kvm' } }
  t.match(cluster.writes, [['POST', '/v1/containers', { name: 'db', devices, lifecycle: { ephemeral: true } }]])
  for (const [given, hint] of [
    ['data', /type= must be one of/],
    ['data,type=bind,path=/x', /source= is missing/],
    ['Data,type=nic,bridge=b', /not a name for a device/],
    ['data,bind', /not KEY=VALUE/],
  ] as const) {
    const refused = await cluster.drover(['launch', 'db', '--device', given])
    t.match(refused.stderr, hint, given)
  }
  t.equal(cluster.writes.length, 1)
})

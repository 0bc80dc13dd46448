// What leaves a container carries its own addresses: MAC, IPv4, IPv6 and ARP of others are dropped on the host's end of its veth, and go
// through where the filter is off.

import t from 'tap'
import { reasonToSkip } from './engine-program.ts'
import { OneHost } from './one-host.ts'

const outside = '10.84.0.9'
let stage: OneHost

t.before(async () => {
  if (!reasonToSkip) stage = await OneHost.make('addresses', 84)
})
t.teardown(() => stage?.network.close())

const answered = async (container: string, script: string) => (await stage.sh(container, script)).code === 0
/** Seconds for an answer that must come: on a busy machine it may take its time. */
const patience = 10
const ping = (options = '', seconds = patience) => `ping -c 1 -W ${seconds} ${options} ${outside} >/dev/null 2>&1`

t.test('address filter: its own addresses pass, others do not', { skip: reasonToSkip }, async (t) => {
  await stage.start(1)
  t.ok(await answered('c1', ping()), 'its own address')
  t.notMatch(stage.host.log(), /not filtered/, 'this host lets the engine filter')
  await stage.sh('c1', 'ip addr add 10.84.1.77/16 dev eth0')
  t.notOk(await answered('c1', ping('-I 10.84.1.77', 1)), 'another IPv4 address')
  t.notOk(
    await answered('c1', `busybox arping -c 1 -w 1 -I eth0 -s 10.84.1.77 ${outside}`),
    'a question by ARP as another',
  )
  t.ok(await answered('c1', `busybox arping -c 1 -w ${patience} -I eth0 ${outside}`), 'and as itself')
  await stage.sh('c1', 'ip link set eth0 address 02:00:00:00:00:77')
  t.notOk(await answered('c1', ping('-I 10.84.1.1', 1)), 'another MAC address')
  await stage.sh('c1', `ip link set eth0 address ${stage.spec(1).identity.mac}`)
  t.ok(await answered('c1', ping('-I 10.84.1.1')), 'its own again')
})

t.test('address filter: IPv6, with its neighbours', { skip: reasonToSkip }, async (t) => {
  for (const serial of [2, 3]) {
    const { identity } = stage.spec(serial)
    await stage.start(serial, { identity: { ...identity, ipv6: `fd84::${serial}/64` } })
  }
  // Others were asked about it for a second, if the kernel found it out by itself.
  const linkLocal = (await stage.sh('c3', 'ip addr show eth0')).output
  t.match(linkLocal, 'inet6 fe80::ff:fe54:3/64 scope link', 'the address of its MAC')
  t.notMatch(linkLocal, 'tentative', 'is there at once')
  t.equal(
    (await stage.sh('c3', 'cat /proc/sys/net/ipv6/conf/eth0/addr_gen_mode')).output,
    '0',
    'and comes back by itself when its root brings the link down and up',
  )
  const ping6 = (options: string) => `ping -6 -c 1 -W 1 ${options} fd84::3 >/dev/null 2>&1`
  const asked = `for i in $(seq ${patience}); do ${ping6('')} && exit 0; done; exit 1`
  t.ok(await answered('c2', asked), 'its own address, asked and answered')
  await stage.sh('c2', 'ip -6 addr add fd84::77/64 dev eth0 nodad')
  t.notOk(await answered('c2', ping6('-I fd84::77')), 'another address')
  await stage.sh('c3', 'ip -6 addr add fd84::99/64 dev eth0 nodad')
  t.notOk(await answered('c2', 'ping -6 -c 1 -W 1 fd84::99 >/dev/null 2>&1'), 'nobody is told that it has another')
})

t.test(
  'address filter: an earlier engine’s goes on, and the next one has its own',
  { skip: reasonToSkip },
  async (t) => {
    await stage.host.killEngine()
    await stage.host.startEngine()
    // The second one finds that nobody has used what the first one had.
    for (const serial of [5, 6]) {
      const name = `c${serial}`
      await stage.start(serial)
      t.match(stage.host.queues(`dv${serial}`), /ingress/)
      t.ok(await answered(name, ping()), 'its own address')
      await stage.sh(name, 'ip addr add 10.84.1.79/16 dev eth0')
      t.notOk(await answered(name, ping('-I 10.84.1.79', 1)), 'another')
      await stage.client.call('delete', { container: name, epoch: 1 })
    }
    t.ok(await answered('c1', ping('-I 10.84.1.1')), 'its own address, by the earlier engine')
    t.notOk(await answered('c1', ping('-I 10.84.1.77', 1)), 'another')
  },
)

t.test('address filter: off where the spec says so', { skip: reasonToSkip }, async (t) => {
  await stage.start(4, { security: { addressFilter: false } })
  await stage.sh('c4', 'ip addr add 10.84.1.78/16 dev eth0')
  t.ok(await answered('c4', ping('-I 10.84.1.78')))
  for (const container of ['c1', 'c2', 'c3', 'c4']) await stage.client.call('delete', { container, epoch: 1 })
  t.same(stage.host.leftovers(), [])
})

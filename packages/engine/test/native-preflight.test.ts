// What preflight finds about the processes of a real container: sockets that a move carries are not worth a word, what passes by itself is
// said to, and what CRIU can't take is named. Uninterruptible sleep is told of where it lasts.

import { execFileSync } from 'node:child_process'
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { reasonToSkip } from './engine-program.ts'
import { NetworkInside } from './network-inside.ts'
import { OneHost } from './one-host.ts'

t.test('preflight: the sockets of a container', { skip: reasonToSkip, timeout: 300_000 }, async (t) => {
  const host = await hostWith(t, 'sockets')
  if (host === null) return t.comment('no C compiler, or no static C library')
  const found = async (kinds: string) => {
    const container = await host.startFor(t)
    const { code, output } = await host.sh(
      container,
      `echo 0 0 > /proc/sys/net/ipv4/ping_group_range
       setsid sockets ${kinds} >/tmp/said 2>&1 </dev/null & until [ -s /tmp/sockets.pid ] || [ -s /tmp/said ]; do usleep 1000; done; cat /tmp/said`,
    )
    t.same({ code, output }, { code: 0, output: '' }, `${kinds} are open`)
    const { findings, complete } = await host.client.call('preflight', { container })
    t.equal(complete, true)
    // Of a disk that doesn't answer anyone may be found asleep.
    const told = findings.filter(({ reason }) => reason !== 'UNINTERRUPTIBLE')
    return told.map(({ reason, process, passing }) => `${process}: ${reason}${passing ? ', passing' : ''}`)
  }
  t.same(await found('udp raw unix netlink listener'), [], 'a move carries them')
  t.same(await found('listener waiting'), ['sockets: WAITING_CONNECTIONS, passing'])
  t.same(await found('netlink unread'), ['sockets: UNREAD_NETLINK, passing'])
  t.same(await found('udp ping'), ['sockets: SOCKET'])
})

t.test('preflight: what is in its network', { skip: reasonToSkip, timeout: 300_000 }, async (t) => {
  const host = await OneHost.make('linked', 122)
  t.teardown(() => host.network.close())
  const container = await host.startFor(t)
  const found = async () => {
    const { findings, warnings } = await host.client.call('preflight', { container })
    return [...findings, ...(warnings ?? [])].map(({ reason, message }) => `${reason}: ${message}`)
  }
  const inside = new NetworkInside((await host.client.call('get', { container })).initPid ?? 0)
  inside.sh('ip link add br7 type bridge; ip link add pair0 type veth peer name pair1; ip link set pair0 master br7')
  t.same(await found(), [], 'bridges and pairs come along')
  inside.sh(
    'ip link set pair0 up; ip link set br7 up; tc qdisc add dev eth0 root tbf rate 1mbit burst 32k latency 400ms',
  )
  t.same(await found(), ['TRAFFIC_CONTROL: its traffic control of eth0 (tbf) would not come along'])
  inside.sh('tc qdisc del dev eth0 root; ip tuntap add dev tun7 mode tun')
  t.same(await found(), ["NETWORK_LINK: it has a network link that can't be made on another host: tun7 (tun)"])
})

t.test(
  'preflight: a sleep that lasts is told of, short ones are not',
  { skip: reasonToSkip, timeout: 300_000 },
  async (t) => {
    const host = await hostWith(t, 'sleeps')
    if (host === null) return t.comment('no C compiler, or no static C library')
    const sleeping = async (how: string) => {
      const container = await host.startFor(t)
      const asleep = '[ -s /tmp/sleeps.pid ] && grep -q "(sleeps) D" /proc/$(cat /tmp/sleeps.pid)/stat'
      const { code } = await host.sh(
        container,
        `setsid sleeps ${how} >/dev/null 2>&1 </dev/null & until ${asleep}; do usleep 1000; done`,
      )
      t.equal(code, 0)
      return async () => {
        const { findings } = await host.client.call('preflight', { container })
        return findings.filter(({ process }) => process === 'sleeps')
      }
    }
    const lasting = await sleeping('lasting')
    t.match(await lasting(), [{ reason: 'UNINTERRUPTIBLE', passing: true, message: /is in uninterruptible sleep/ }])
    t.equal((await lasting()).length, 1, 'at the next look as well')

    const short = await sleeping('short')
    // On a busy machine one of them may last, now and then.
    let told = true
    for (let look = 0; told && look < 3; look++) told = (await short()).length > 0
    t.equal(told, false, 'always asleep, but never for long')
  },
)

/** With that program, of which the source is here, in its image; null: it can't be built. */
async function hostWith(t: Test, program: string): Promise<OneHost | null> {
  const built = join(t.testdir(), program)
  const source = fileURLToPath(new URL(`./${program}.c`, import.meta.url))
  try {
    execFileSync('cc', ['-O2', '-static', '-o', built, source], { stdio: 'ignore' })
  } catch {
    return null
  }
  const host = await OneHost.make('looks', 114, (image) => cpSync(built, join(image, 'bin', program)))
  t.teardown(() => host.network.close())
  return host
}

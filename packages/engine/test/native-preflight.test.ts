// What preflight finds about the sockets of a real container: those that a move carries are not worth a word, what passes by itself is said to, and
// what CRIU can't take is named.

import { execFileSync } from 'node:child_process'
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { reasonToSkip } from './engine-program.ts'
import { OneHost } from './one-host.ts'

const program = fileURLToPath(new URL('./sockets.c', import.meta.url))

t.test('preflight: the sockets of a container', { skip: reasonToSkip, timeout: 300_000 }, async (t) => {
  const sockets = join(t.testdir(), 'sockets')
  try {
    execFileSync('cc', ['-O2', '-static', '-o', sockets, program], { stdio: 'ignore' })
  } catch {
    return t.comment('no C compiler, or no static C library')
  }
  const host = await OneHost.make('looks', 114, (image) => cpSync(sockets, join(image, 'bin/sockets')))
  t.teardown(() => host.network.close())
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
    return findings.map(({ reason, process, passing }) => `${process}: ${reason}${passing ? ', passing' : ''}`)
  }
  t.same(await found('udp raw unix netlink listener'), [], 'a move carries them')
  t.same(await found('listener waiting'), ['sockets: WAITING_CONNECTIONS, passing'])
  t.same(await found('netlink unread'), ['sockets: UNREAD_NETLINK, passing'])
  t.same(await found('udp ping'), ['sockets: SOCKET'])
})

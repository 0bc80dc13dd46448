// Live moves of containers whose security or settings of the kernel are not the usual ones: they are what they were afterwards, for init
// and for new commands.

import { readFileSync } from 'node:fs'
import t from 'tap'
import type { EngineContainer, EngineSpec } from '../src/index.ts'
import { reasonToSkip } from './engine-program.ts'
import { noLimits } from './engine-spec.ts'
import { checkCount, chooseCriu, confinement, MigrationStage } from './migration-stage.ts'
import type { TestHost } from './native-hosts.ts'

async function run(host: TestHost, container: string, script: string): Promise<string> {
  let output = ''
  const take = (data: Uint8Array) => {
    output += Buffer.from(data)
  }
  const session = await host.client.exec(
    { container, command: ['sh', '-c', script], environment: {}, directory: null, user: null, terminal: null },
    { onStdout: take, onStderr: take },
  )
  session.end()
  await session.exit
  return output.trim()
}

/** Types and places of its mounts, in order. */
const mounts = ({ initPid }: EngineContainer) =>
  readFileSync(`/proc/${initPid}/mountinfo`, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const words = line.split(' ')
      return `${words[4]} ${words[5]} ${words[words.indexOf('-') + 1]}`
    })
    .sort()

t.test('live moves and security', { skip: reasonToSkip, timeout: 300_000 }, async (t) => {
  const criu = chooseCriu()
  if (criu.path === null) return t.comment(`no live moves on this machine: ${criu.reason}`)
  const stage = await MigrationStage.set(criu.path)
  t.teardown(() => stage.strike())
  const { a, b } = stage

  const cases: [string, Partial<EngineSpec>][] = [
    ['other capabilities', { security: { addCapabilities: ['SYS_TIME'], dropCapabilities: ['NET_RAW', 'MKNOD'] } }],
    ['nesting', { security: { nesting: true } }],
    ['privileged', { security: { privileged: true } }],
    ['other system calls', { security: { denySyscalls: ['sethostname'], allowSyscalls: ['acct'] } }],
    [
      'sysctls, rlimits and eth0',
      {
        limits: { ...noLimits, networkIngressBits: 80_000_000, networkMtu: 1400, networkIsolated: true },
        sysctls: { 'net.ipv4.ip_forward': '1', 'net.ipv4.conf.eth0.rp_filter': '2', 'kernel.msgmax': '9000' },
        rlimits: { nofile: { soft: 100, hard: 200 }, core: { soft: 0, hard: 0 } },
      },
    ],
  ]
  for (const [name, change] of cases) {
    await t.test(`${name}: there and back`, async (t) => {
      const launched = await stage.launch(a, change)
      const { spec, container, stream } = launched
      const settings =
        'cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/eth0/rp_filter /proc/sys/kernel/msgmax; ulimit -n; ulimit -Hn; cat /sys/class/net/eth0/mtu /proc/1/limits'
      const settled = await run(a, spec.container, settings)
      const limited = name === 'sysctls, rlimits and eth0'
      if (limited) t.match(settled, /^1\n2\n9000\n100\n200\n1400\n/)
      const before = { confinement: confinement(container), mounts: mounts(container) }
      for (const [from, to] of [
        [a, b],
        [b, a],
      ] as const) {
        await stream.more(5)
        await stage.moveUntilRestored(from, to, spec)
        const { container: moved } = await stage.finish(from, to, spec)
        t.same({ confinement: confinement(moved), mounts: mounts(moved) }, before, 'all is as it was')
        t.equal(await run(to, spec.container, settings), settled)
        const link = `dv${spec.identity.serial}`
        if (limited) t.match([to.queues(link), to.link(link)], [/tbf .*rate 80Mbit/, /mtu 1400 .*isolated on/s])
        const [line] = before.confinement.filter((each) => each.startsWith('CapBnd'))
        t.match(await run(to, spec.container, 'grep CapBnd /proc/self/status'), line as string, 'for new commands, too')
      }
      if (name === 'other system calls')
        t.match(await run(a, spec.container, 'busybox hostname other'), /not implemented/)
      if (name === 'nesting')
        t.equal(
          await run(a, spec.container, 'busybox unshare -U -r -m -p -f mount -t proc none /srv && echo open'),
          'open',
        )
      await stream.more(5)
      checkCount(t, stream)
      await stage.remove(a, launched)
    })
  }
})

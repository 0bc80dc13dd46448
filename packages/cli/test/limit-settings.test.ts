// KEY=VALUE of `drover set`: what each key sends, and what is refused before anything is sent.

import t from 'tap'
import { parseSetting } from '../src/limit-settings.ts'
import { fakeCluster } from './fake-cluster.ts'

const MiB = 2 ** 20

t.test('each key and unit means what it says', async (t) => {
  const table: [string, unknown][] = [
    ['memory=512MiB', { limits: { memoryBytes: 512 * MiB } }],
    ['memory.swap=0', { limits: { swapBytes: 0 } }],
    ['memory.policy=freeze', { limits: { memoryPolicy: 'freeze' } }],
    ['memory.policy=none', { limits: { memoryPolicy: null } }],
    ['autostart=false', { autostart: { enabled: false } }],
    ['autostart.order=-5', { autostart: { order: -5 } }],
    ['autostart.delay=2m', { autostart: { delayMs: 120_000 } }],
    ['stop.signal=SIGRTMIN+3', { stop: { signal: 37 } }],
    ['stop.signal=int', { stop: { signal: 2 } }],
    ['stop.signal=none', { stop: { signal: null } }],
    ['stop.priority=10', { stop: { priority: 10 } }],
    ['stop.host-timeout=2m', { stop: { hostTimeoutMs: 120_000 } }],
    ['cpu=1.5', { limits: { cpuMilli: 1500 } }],
    ['cpu=none', { limits: { cpuMilli: null } }],
    ['cpuset=0-2,5', { limits: { cpus: '0-2,5' } }],
    ['network.rate=1.5gbit', { limits: { networkBits: 1_500_000_000 } }],
    ['network.rate=100mbit/s', { limits: { networkBits: 100_000_000 } }],
    ['network.ingress=50mbit', { limits: { networkIngressBits: 50_000_000 } }],
    ['network.egress=none', { limits: { networkEgressBits: null } }],
    ['network.mtu=1400', { limits: { networkMtu: 1400 } }],
    ['network.queue=500', { limits: { networkQueue: 500 } }],
    ['hugepages.2MB=64MiB', { limits: { hugePages2MiB: 64 * MiB } }],
    ['hugepages.1GB=0', { limits: { hugePages1GiB: 0 } }],
    ['network.isolated=true', { limits: { networkIsolated: true } }],
    ['io.write=10MiB', { limits: { ioWriteBytes: 10 * MiB } }],
    ['restart=on-failure:5', { restart: { policy: 'on-failure', most: 5 } }],
    ['restart=no', { restart: { policy: 'no', most: 0 } }],
    ['memory.request=64MiB', { requests: { memoryBytes: 64 * MiB } }],
    ['security.nesting=true', { security: { nesting: true } }],
    ['security.address-filter=false', { security: { addressFilter: false } }],
    ['security.cap-add=cap_sys_time,SYSLOG', { security: { addCapabilities: ['SYS_TIME', 'SYSLOG'] } }],
    ['security.syscalls.deny=keyctl,ptrace', { security: { denySyscalls: ['keyctl', 'ptrace'] } }],
    ['security.syscalls.allow=none', { security: { allowSyscalls: [] } }],
    ['disk=20GiB', { limits: { diskBytes: 20 * 1024 * MiB } }],
    ['disk=none', { limits: { diskBytes: null } }],
    ['ephemeral=true', { lifecycle: { ephemeral: true } }],
    ['protection.delete=false', { lifecycle: { protected: false } }],
    ['sysctl.net.ipv4.ip_forward=1', { sysctls: { 'net.ipv4.ip_forward': '1' } }],
    ['sysctl.kernel.sem=32000 1024000000 500 32000', { sysctls: { 'kernel.sem': '32000 1024000000 500 32000' } }],
    ['sysctl.net.core.somaxconn=none', { sysctls: { 'net.core.somaxconn': null } }],
    ['rlimit.nofile=1024:65536', { rlimits: { nofile: { soft: 1024, hard: 65_536 } } }],
    ['rlimit.memlock=64MiB', { rlimits: { memlock: { soft: 64 * MiB, hard: 64 * MiB } } }],
    ['rlimit.core=0:unlimited', { rlimits: { core: { soft: 0, hard: null } } }],
    ['rlimit.core=none', { rlimits: { core: null } }],
    ['security.cap-drop=none', { security: { dropCapabilities: [] } }],
  ]
  for (const [text, meaning] of table) t.same(parseSetting(text), meaning, text)
  t.same(parseSetting('pids=5', parseSetting('cpu=1')), { limits: { cpuMilli: 1000, pids: 5 } }, 'several together')
})

t.test('set sends the change and waits; launch takes the same keys', async (t) => {
  const cluster = await fakeCluster(t)
  const ran = await cluster.drover(['set', 'web-1', 'memory=512MiB', 'cpu=none'])
  t.equal(ran.exitCode, 0, ran.stderr)
  const limits = { memoryBytes: 512 * MiB, cpuMilli: null }
  t.same(cluster.writes[0], ['POST', '/v1/containers/web-1/set', { limits }])
  await cluster.drover(['launch', 'db', '--set', 'memory=512MiB', '--set', 'cpu=none', '--set', 'cpu.request=0.5'])
  t.match(cluster.writes[1], ['POST', '/v1/containers', { name: 'db', limits, cpuMilli: 500 }])
  await cluster.drover([
    'launch',
    'gw',
    '--sysctl',
    'net.ipv4.ip_forward=1',
    '--set',
    'sysctl.kernel.msgmax=9000',
    '--rlimit',
    'nofile=100:200',
    '--rlimit',
    'core=0',
  ])
  const kernel = {
    sysctls: { 'net.ipv4.ip_forward': '1', 'kernel.msgmax': '9000' },
    rlimits: { nofile: { soft: 100, hard: 200 }, core: { soft: 0, hard: 0 } },
  }
  t.same(cluster.writes[2], ['POST', '/v1/containers', { name: 'gw', ...kernel }])
})

t.test('what can’t be meant is refused with what would be right, and nothing is sent', async (t) => {
  const cluster = await fakeCluster(t)
  const table: [string, RegExp][] = [
    ['memory', /KEY=VALUE/],
    ['colour=blue', /memory\.swap/],
    ['cpuset=a', /0-2,5/],
    ['network.rate=fast', /100mbit/],
    ['network.mtu=576', /1280/],
    ['network.isolated=yes', /neither true nor false/],
    ['mac=02:00:5e:00:53:01', /mac is chosen at the launch/],
    ['hwaddr=02:00:5e:00:53:01', /launch --mac/],
    ['ipv4.address=10.77.4.5', /launch --address/],
    ['memory=1', /too small/],
    ['restart=often', /always:5/],
    ['stop.signal=SIGNIFICANT', /SIGRTMIN\+3/],
    ['stop.signal=65', /to 64/],
    ['memory.request=none', /needs a value/],
    ['security.syscalls.deny=Keyctl!', /is no system call/],
    ['disk=1000', /too small/],
    ['security.cap-add=EVERYTHING', /NET_ADMIN/],
    ['sysctl.vm.swappiness=1', /net\.ipv4\.ip_forward=1/],
    ['sysctl.kernel.hostname=x', /a container's own: net\.…, fs\.mqueue/],
    ['rlimit.nofile=abc', /"abc" is no bound: write a number/],
    ['sysctl.net.ipv4.ip_forward', /NAME=VALUE/],
    ['rlimit.files=1', /nofile/],
    ['rlimit.nofile=10:5', /above the hard one/],
    ['security.nesting=maybe', /neither true nor false/],
  ]
  for (const [text, hint] of table) {
    const ran = await cluster.drover(['set', 'web-1', text])
    t.equal(ran.exitCode, 2, text)
    t.match(ran.stderr, hint)
  }
  t.same(cluster.writes, [])
})

t.test('snapshots: schedule, expiry, how many are kept, and the hook', async (t) => {
  const settings = [
    'snapshots.schedule=daily',
    'snapshots.expiry=7d',
    'snapshots.keep=3',
    'snapshots.hook=/bin/flush --all',
  ]
  const change = settings.reduce((before, text) => parseSetting(text, before), {})
  t.same(change, { snapshots: { scheduleMs: 86_400_000, expiryMs: 604_800_000, keep: 3, hook: '/bin/flush --all' } })
  t.same(parseSetting('snapshots.schedule=none'), { snapshots: { scheduleMs: null } })
  t.throws(() => parseSetting('snapshots.schedule=10s'), /is not from 1m to 366d/)
})

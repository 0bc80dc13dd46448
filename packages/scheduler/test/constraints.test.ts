// Constraints, groups, quotas, limits and policies by example: who is refused under which name, and who is preferred.

import {
  type ClusterSnapshot,
  type Demand,
  type HostSnapshot,
  overlap,
  place,
  type RefusalName,
} from '@drover/scheduler'
import t from 'tap'
import { demand, GiB, host } from './cluster.ts'

const small = { cpuMilli: 1000, memoryBytes: GiB, diskBytes: 0, pids: 1 }
const cases: [string, Partial<HostSnapshot>, Partial<Demand>, RefusalName, RegExp][] = [
  ['is of another pool', { pool: 'fast' }, {}, 'OTHER_POOL', /in pool fast, not default/],
  ['is not pinned to', {}, { constraints: { hosts: ['b', 'c'] } }, 'NOT_PINNED_HERE', /b, c/],
  [
    'has another architecture',
    { architecture: 'aarch64' },
    { constraints: { architecture: 'x86_64' } },
    'WRONG_ARCHITECTURE',
    /it is aarch64/,
  ],
  [
    'lacks a CPU feature',
    { cpuFeatures: new Set(['sse4']) },
    { constraints: { cpuFeatures: ['sse4', 'avx2'] } },
    'MISSING_CPU_FEATURE',
    /lacks avx2/,
  ],
  [
    'lacks a kernel feature',
    {},
    { constraints: { kernelFeatures: ['userfaultfd'] } },
    'MISSING_KERNEL_FEATURE',
    /userfaultfd/,
  ],
  ['lacks a CRIU feature', {}, { constraints: { criuFeatures: ['pidfd'] } }, 'MISSING_CRIU_FEATURE', /pidfd/],
  [
    'has another label',
    { labels: { disk: 'hdd' } },
    { constraints: { labels: { disk: 'ssd' } } },
    'LABEL_MISMATCH',
    /disk=ssd, it has hdd/,
  ],
  ['is tainted', { taints: [{ key: 'gpu', effect: 'refuse' }] }, {}, 'TAINTED', /gpu/],
  [
    'has no device left',
    { devices: { gpu: 1 } },
    { constraints: { devices: { gpu: 2 } } },
    'MISSING_DEVICE',
    /2 of gpu, 1 free/,
  ],
  [
    'has a listener at the address',
    { listens: { 'tcp:0.0.0.0:80': 1 } },
    { listens: ['udp:0.0.0.0:80', 'tcp:10.0.0.1:80'] },
    'ADDRESS_IN_USE',
    /listens at tcp:10.0.0.1:80, which tcp:0.0.0.0:80 takes/,
  ],
  [
    'has a member of the group',
    { groups: { db: 1 } },
    { group: { name: 'db', kind: 'spread', strict: true, topology: 'host' } },
    'GROUP_SPREAD',
    /at most 1/,
  ],
  [
    'lacks inotify watches',
    { limits: { inotifyWatches: 100 }, limitsRequested: { inotifyWatches: 90 } },
    { limits: { inotifyWatches: 20 } },
    'INSUFFICIENT_INOTIFY_WATCHES',
    /needs 20, 10 of 100 free/,
  ],
  [
    'uses too much memory',
    { measured: { cpuMilli: 0, memoryBytes: 4 * GiB } },
    {},
    'MEASURED_MEMORY',
    /measured memory/,
  ],
]

for (const [what, change, wanted, name, detail] of cases) {
  t.test(`a host that ${what} is refused as ${name}`, async (t) => {
    const { host: chosen, placement } = place({ hosts: [host('a', change)] }, demand(wanted), 1)
    t.equal(chosen, null)
    t.match(placement.hosts, [{ refusal: name, detail }])
    t.match(placement.reason, /^no host can take web-1: 1 /)
  })
}

const chosen = (cluster: ClusterSnapshot, wanted: Partial<Demand>) => place(cluster, demand(wanted), 1)

t.test('a project over its quota is refused everywhere', async (t) => {
  const used = { cpuMilli: 1000, memoryBytes: 0, diskBytes: 0, pids: 0, containers: 1 }
  const cluster = { hosts: [host('a'), host('b')], projects: { p: { quota: { cpuMilli: 1050 }, used } } }
  const { host: to, placement } = chosen(cluster, { project: 'p' })
  t.equal(to, null)
  t.equal(placement.reason, 'no host can take web-1: 2 closed by the project’s quota')
  t.ok(chosen(cluster, { project: 'q' }).host, 'a project without quota has no limit')
})

t.test('overcommit lets requests exceed the capacity, the idle reserve keeps measured use below it', async (t) => {
  const full = host('a', {
    requested: { cpuMilli: 4000, memoryBytes: 0, diskBytes: 0, pids: 0 },
    measured: { cpuMilli: 3000, memoryBytes: 0 },
  })
  const pools = (idleReserve: number) => ({ default: { overcommit: { cpu: 2 }, idleReserve } })
  t.equal(chosen({ hosts: [full] }, {}).placement.hosts[0]?.refusal, 'INSUFFICIENT_CPU')
  t.equal(chosen({ hosts: [full], pools: pools(0) }, {}).host, 'a')
  t.equal(chosen({ hosts: [full], pools: pools(0.25) }, {}).placement.hosts[0]?.refusal, 'MEASURED_CPU')
})

t.test('preferred groups and taints to avoid come before the policy', async (t) => {
  const group = { name: 'db', kind: 'spread', strict: false, topology: 'rack' } as const
  const hosts = [host('a', { rack: 'r1', groups: { db: 1 }, requested: small }), host('b', { rack: 'r2' })]
  const spread = chosen({ hosts }, { group })
  t.equal(spread.host, 'b')
  t.match(spread.placement.reason, /its rack has the fewest of group db/)
  t.equal(chosen({ hosts }, { group: { ...group, kind: 'pack' } }).host, 'a')
  t.equal(chosen({ hosts: [hosts[0]!] }, { group }).host, 'a', 'a preference refuses nobody')
  const avoided = [host('a', { requested: small, taints: [{ key: 'old', effect: 'avoid' }] }), host('b')]
  t.equal(chosen({ hosts: avoided }, {}).host, 'b')
  t.equal(chosen({ hosts: avoided }, { constraints: { tolerations: ['old'] } }).host, 'a')
})

t.test('pack fills, balance evens out, spread counts containers', async (t) => {
  const hosts = [host('a', { requested: small, containers: 1 }), host('b', { containers: 2 })]
  const by = (policy: 'pack' | 'balance' | 'spread') => chosen({ hosts, pools: { default: { policy } } }, {})
  t.equal(by('pack').host, 'a')
  t.equal(by('balance').host, 'b')
  t.match(by('balance').placement.reason, /^least full host/)
  t.equal(by('spread').host, 'a')
  t.match(by('spread').placement.reason, /^host with the fewest containers/)
})

t.test('a disk with a size goes where that is held, if it can', async (t) => {
  const hosts = [host('a', { requested: small, holdsDisks: false }), host('b')]
  const sized = chosen({ hosts }, { constraints: { sizedDisk: true } })
  t.equal(sized.host, 'b')
  t.match(sized.placement.reason, /^it holds the size of its disk/)
  t.equal(chosen({ hosts }, {}).host, 'a', 'others are packed as ever')
  t.equal(chosen({ hosts: [hosts[0]!] }, { constraints: { sizedDisk: true } }).host, 'a', 'it refuses nobody')
})

t.test('only one can listen at an address, and all addresses are each of them', async (t) => {
  const both = (left: string, right: string) => [overlap(left, right), overlap(right, left)]
  t.same(both('tcp:10.0.0.1:80', 'tcp:10.0.0.1:80'), [true, true])
  t.same(both('tcp:0.0.0.0:80', 'tcp:10.0.0.1:80'), [true, true])
  t.same(both('udp:[::]:53', 'udp:[fd00::1]:53'), [true, true])
  t.same(both('unix:/run/a', 'unix:/run/a'), [true, true])
  t.same(both('tcp:10.0.0.1:80', 'tcp:10.0.0.2:80'), [false, false])
  t.same(both('tcp:0.0.0.0:80', 'udp:0.0.0.0:80'), [false, false])
  t.same(both('tcp:0.0.0.0:80', 'tcp:0.0.0.0:81'), [false, false])
  t.same(both('tcp:0.0.0.0:80', 'tcp:[::]:80'), [false, false], 'IPv6 sockets take IPv6 only')
  t.same(both('unix:/run/a', 'unix:/run/b'), [false, false])
})

// What keeps a container of one host from being restored on another.

import { featureNotes, featureObstacles, type HostFeatures } from '@drover/protocol'
import t from 'tap'

const host: HostFeatures = {
  engine: 'native',
  kernel: '6.12.1-amd64',
  architecture: 'x86_64',
  cgroup: 'v2',
  criu: { usable: true, path: '/usr/sbin/criu', version: '4.2.1', reason: 'passes' },
  cpuFlags: ['avx', 'avx2', 'sse4_2'],
  protocolVersion: 1,
}
const criu = (change: Partial<HostFeatures['criu']>) => ({ criu: { ...host.criu, ...change } })

const cases: [what: string, there: Partial<HostFeatures>, expected: RegExp | null][] = [
  ['the same', {}, null],
  ['more instruction sets', { cpuFlags: ['avx', 'avx2', 'avx512f', 'sse4_2'] }, null],
  ['an agent that does not tell its own yet', { cpuFlags: undefined as never }, null],
  ['fewer instruction sets', { cpuFlags: ['avx', 'sse4_2'] }, /its CPU lacks avx2/],
  ['another architecture', { architecture: 'aarch64' }, /architecture is aarch64, not x86_64/],
  ['another cgroup layout', { cgroup: 'hybrid' }, /cgroup layout is hybrid, not v2/],
  [
    'no CRIU that passes its self-test',
    criu({ usable: false, reason: 'can’t dump' }),
    /no usable CRIU there: can’t dump/,
  ],
  ['an older CRIU', criu({ version: '4.1' }), /CRIU 4\.1 is older than 4\.2\.1/],
  ['a newer CRIU', criu({ version: '5.0' }), null],
  ['another protocol', { protocolVersion: 2 }, /protocol version 2, not 1/],
  ['a pretended engine', { engine: 'simulated' }, /engine is simulated/],
]
for (const [what, there, expected] of cases) {
  t.test(`a destination with ${what}`, async (t) => {
    const obstacles = featureObstacles(host, { ...host, ...there })
    if (expected === null) t.strictSame(obstacles, [])
    else t.match(obstacles, [expected])
  })
}

t.test('an older kernel is worth a note, and no obstacle', async (t) => {
  t.match(featureNotes(host, { ...host, kernel: '6.1.0-18' }), [/6\.1\.0-18 is older than 6\.12\.1/])
  t.strictSame(featureNotes({ ...host, kernel: '6.1.0' }, host), [])
  t.strictSame(featureObstacles(host, { ...host, kernel: '6.1.0-18' }), [])
})

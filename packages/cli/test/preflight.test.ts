// preflight, and its line in info.

import type { Preflight } from '@drover/protocol'
import t from 'tap'
import { fakeCluster } from './fake-cluster.ts'

const movable: Preflight = {
  container: 'web-1',
  host: 'a',
  live: true,
  findings: [],
  warnings: [{ reason: 'KEYRING', pid: 0, process: '', message: 'user 0 has a key', passing: false }],
  hosts: [
    { host: 'b', live: true, obstacles: [], notes: ['its kernel 6.1 is older than 6.12'] },
    { host: 'c', live: false, obstacles: ['its CPU lacks avx2'], notes: [] },
  ],
  fallback: '',
}
const stuck: Preflight = {
  ...movable,
  live: false,
  findings: [
    { reason: 'MESSAGE_QUEUE', pid: 12, process: 'worker', message: 'worker (12) has a queue open', passing: false },
    { reason: 'UNREAD_NETLINK', pid: 3, process: 'dhcp', message: 'dhcp (3) has unread data', passing: true },
  ],
  fallback: 'move it cold',
}

t.test('preflight: which hosts it could go to, and why not to the others', async (t) => {
  const cluster = await fakeCluster(t)
  cluster.preflight = movable
  const { exitCode, stdout } = await cluster.drover(['preflight', 'web-1'])
  t.equal(exitCode, 0)
  t.match(stdout, /web-1 on host a: it can move live\n +· user 0 has a key/)
  t.match(stdout, /b +yes +its kernel 6\.1 is older/)
  t.match(stdout, /c +no +its CPU lacks avx2/)
  t.match((await cluster.drover(['preflight', 'web-1', '--json'])).json(), { live: true, hosts: [{ host: 'b' }, {}] })
})

t.test('preflight: what is in the way, what passes, what would work instead; exit code 1', async (t) => {
  const cluster = await fakeCluster(t)
  cluster.preflight = stuck
  const { exitCode, stdout } = await cluster.drover(['preflight', 'web-1', 'b'])
  t.equal(exitCode, 1)
  t.match(
    stdout,
    /can’t move live now\n +! worker \(12\) has a queue open\n +! dhcp \(3\) has unread data \(passes by itself\)/,
  )
  t.match(stdout, /instead: move it cold/)
})

t.test('preflight: on a cluster of one host there is nowhere to go, cold neither', async (t) => {
  const cluster = await fakeCluster(t)
  cluster.preflight = { ...stuck, findings: [], warnings: [], hosts: [] }
  const { exitCode, stdout } = await cluster.drover(['preflight', 'web-1'])
  t.equal(exitCode, 1)
  t.match(stdout, /can’t move live now\n +! there is no other host/)
  t.notMatch(stdout, /instead/)
})

t.test('info: the verdict in a line, and none when its host is silent', async (t) => {
  const cluster = await fakeCluster(t)
  cluster.preflight = stuck
  t.match(
    (await cluster.drover(['info', 'web-1'])).stdout,
    /live move +can’t move live: worker \(12\) has a queue open; move it cold/,
  )
  cluster.preflight = movable
  t.match((await cluster.drover(['info', 'web-1'])).stdout, /live move +can move live to b; user 0 has a key\n/)
  for (const verdict of [null, 'hangs'] as const) {
    cluster.preflight = verdict
    const silent = await cluster.drover(['info', 'web-1'])
    t.equal(silent.exitCode, 0)
    t.notMatch(silent.stdout, /live move/)
  }
})

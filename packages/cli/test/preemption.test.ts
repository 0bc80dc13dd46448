// Who may be stopped for a more important one: how that is said, and how what was stopped, or would be, is shown.

import type { LaunchExplanation } from '@drover/protocol'
import t from 'tap'
import { fakeCluster } from './fake-cluster.ts'
import { container } from './resources.ts'

const preempted = { by: 'urgent', priority: 10, atMs: 0, resumes: true, notBeforeMs: 0, tries: 0 }
const message = 'preempted by urgent (priority 10); it starts again when there is room'

t.test('a container or a pool allows it', async (t) => {
  const cluster = await fakeCluster(t)
  await cluster.drover(['launch', 'batch', '--preemptible', '--priority', '-5'])
  await cluster.drover(['set', 'web-1', 'preemptible=false'])
  await cluster.drover(['set', 'web-1', 'preemptible=none'])
  await cluster.drover(['pool', 'set', 'default', '--preempt-below', '0'])
  t.match(
    cluster.writes.map(([, , body]) => body),
    [
      { name: 'batch', scheduling: { priority: -5, preemptible: true } },
      { scheduling: { preemptible: false } },
      { scheduling: { preemptible: null } },
      { pools: { default: { preemptBelow: 0 } } },
    ],
  )
  t.match(await cluster.drover(['set', 'web-1', 'preemptible=yes']), { exitCode: 2, stderr: /not true, false or none/ })
  for (const wrong of ['0.5', '1001', 'low'])
    t.match(await cluster.drover(['pool', 'set', 'p', '--preempt-below', wrong]), { exitCode: 2, stderr: /number/ })
})

t.test('what was preempted is more than stopped, and is found by that', async (t) => {
  const cluster = await fakeCluster(t)
  const scheduling = { preemptible: true, priority: 2 }
  const batch = container('batch', { state: 'stopped', preempted, message })
  cluster.containers = [container('web-1'), { ...batch, spec: { ...batch.spec, scheduling } }]
  t.match((await cluster.drover(['ls'])).stdout, /batch +preempted .* preempted by urgent \(priority 10\)/)
  for (const state of ['preempted', 'stopped'])
    t.equal((await cluster.drover(['ls', '-q', '--state', state])).stdout, 'batch\n')
  const { stdout } = await cluster.drover(['info', 'batch'])
  t.match(stdout, /state +preempted \(preempted by urgent/)
  t.match(stdout, /gives way +to what has a higher priority than 2/)
  cluster.containers = [container('batch', { state: 'stopped', preempted: { ...preempted, resumes: false } })]
  t.match((await cluster.drover(['ls'])).stdout, /batch +stopped/)
})

t.test('launch --dry-run: says who would move and who would be stopped, and launches nothing', async (t) => {
  const cluster = await fakeCluster(t)
  const { placement } = container('x')
  const reason = 'big fits on a once web-1 moves to b, batch (priority 0) is stopped'
  const room: LaunchExplanation['room'] = {
    host: 'a',
    moves: [{ container: 'web-1', from: 'a', to: 'b' }],
    stops: [{ container: 'batch', host: 'a', priority: 0 }],
    reason,
  }
  const refused = { ...placement, chosen: '', reason: 'no host can take big' }
  cluster.onWrite = () => ({ host: null, placement: refused, room }) as never
  const shown = await cluster.drover(['launch', 'big', '--priority', '3', '--memory', '2GiB', '--dry-run'])
  t.equal(shown.exitCode, 0)
  t.match(
    shown.stdout,
    /big: no host can take big[\s\S]*big fits on a once web-1 moves to b, batch \(priority 0\) is stopped/,
  )
  t.match(cluster.writes, [['POST', '/v1/explain', { name: 'big', memoryBytes: 2 ** 31, scheduling: { priority: 3 } }]])
  cluster.onWrite = () => ({ host: null, placement: refused, room: null }) as never
  t.equal((await cluster.drover(['launch', 'big', '--dry-run', '--json'])).exitCode, 1, 'it would be refused')
})

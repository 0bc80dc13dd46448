// `drover snapshot …` and `drover copy` against a cluster in memory: what they send and print.

import t from 'tap'
import { fakeCluster } from './fake-cluster.ts'
import { container, operation } from './resources.ts'

const snapshot = {
  name: 'before-upgrade',
  createdAtMs: Date.now() - 3 * 86_400_000,
  expiresAtMs: null,
  memory: true,
  scheduled: false,
  sizeBytes: 5 * 2 ** 20,
}

t.test('snapshot create sends name, memory and expiry, and says how long the container stood still', async (t) => {
  const cluster = await fakeCluster(t)
  const parameters = { snapshot: 'x', figures: { paused_ms: 3.2 } }
  cluster.onWrite = () => operation({ state: 'done', kind: 'snapshot', target: 'web-1', parameters })
  const { exitCode, stdout } = await cluster.drover(['snapshot', 'create', 'web-1', 'x', '--memory', '--expires', '7d'])
  t.equal(exitCode, 0)
  t.equal(stdout, 'snapshot x of web-1 · it stood still for 3.2 ms\n')
  await cluster.drover(['snapshot', 'create', 'web-1'])
  t.same(cluster.writes, [
    ['POST', '/v1/containers/web-1/snapshots', { name: 'x', memory: true, expiresInMs: 7 * 86_400_000 }],
    ['POST', '/v1/containers/web-1/snapshots', {}],
  ])
})

t.test('snapshot ls: of one, of all, as JSON, and none', async (t) => {
  const cluster = await fakeCluster(t)
  cluster.containers = [container('web-1', { snapshots: [snapshot] }), container('web-2')]
  const { stdout } = await cluster.drover(['snapshot', 'ls', 'web-1'])
  t.match(stdout, /^CONTAINER +SNAPSHOT +AGE +SIZE +MEMORY +EXPIRES\nweb-1 +before-upgrade +3d +5 MiB +yes +never\n$/)
  const { json } = await cluster.drover(['snapshot', 'ls', '--json'])
  t.same(json(), [{ container: 'web-1', ...snapshot }])
  t.match(
    (await cluster.drover(['snapshot', 'ls', 'web-2'])).stderr,
    /no snapshots; take one: drover snapshot create web-2/,
  )
  t.match((await cluster.drover(['info', 'web-1'])).stdout, /snapshots +1 · 5 MiB · newest before-upgrade/)
})

t.test('snapshot restore and delete', async (t) => {
  const cluster = await fakeCluster(t)
  t.match(await cluster.drover(['snapshot', 'restore', 'web-1', 'x', '--start']), {
    exitCode: 0,
    stdout: /as it was at x/,
  })
  t.equal((await cluster.drover(['snapshot', 'delete', 'web-1', 'x', 'y'])).exitCode, 0)
  t.same(cluster.writes.map(([method, path, body]) => [method, path, body]).sort(), [
    ['DELETE', '/v1/containers/web-1/snapshots/x', null],
    ['DELETE', '/v1/containers/web-1/snapshots/y', null],
    ['POST', '/v1/containers/web-1/snapshots/x/restore', { start: true }],
  ])
  const refused = { status: 404, code: 'SNAPSHOT_NOT_FOUND', message: 'web-1 has no snapshot z' }
  cluster.onWrite = () => refused
  t.match(await cluster.drover(['snapshot', 'restore', 'web-1', 'z']), { exitCode: 1, stderr: /has no snapshot z/ })
})

t.test('copy: from a container or a snapshot of it, to a host, started or not', async (t) => {
  const cluster = await fakeCluster(t)
  t.match(await cluster.drover(['copy', 'web-1/x', 'twin', '--host', 'b', '--no-start']), {
    exitCode: 0,
    stdout: 'twin is a copy of web-1/x\n',
  })
  await cluster.drover(['copy', 'web-1', 'twin'])
  t.match(await cluster.drover(['copy', 'web-1', 'twin', '--refresh']), { stdout: 'twin is a copy of web-1\n' })
  t.same(cluster.writes, [
    ['POST', '/v1/containers/web-1/copy', { name: 'twin', start: false, snapshot: 'x', host: 'b' }],
    ['POST', '/v1/containers/web-1/copy', { name: 'twin', start: true }],
    ['POST', '/v1/containers/web-1/copy', { name: 'twin', start: false, refresh: true }],
  ])
  t.match(await cluster.drover(['copy', 'web-1/X!', 'twin']), { exitCode: 2, stderr: /is not a name/ })
})

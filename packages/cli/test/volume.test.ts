// `drover volume`: what it sends, and what it shows.

import type { VolumeView } from '@drover/protocol'
import t from 'tap'
import { fakeCluster } from './fake-cluster.ts'

const volume = (change: Partial<VolumeView> = {}): VolumeView => ({
  id: 'v5',
  name: 'pgdata',
  description: 'of the shop',
  host: null,
  copy: 0,
  made: false,
  createdAtMs: 0,
  revision: 5,
  container: null,
  device: null,
  path: null,
  readonly: false,
  ...change,
})
const attached = volume({
  host: 'a',
  made: true,
  container: 'web-1',
  device: 'disk',
  path: '/srv/data',
  readonly: true,
})

t.test('create, attach, detach and delete send what they say', async (t) => {
  const cluster = await fakeCluster(t)
  cluster.volumes = [attached, volume({ name: 'free' })]
  const table: [string[], unknown[]][] = [
    [
      ['volume', 'create', 'pgdata', '--description', 'of the shop'],
      ['PUT', '/v1/volumes/pgdata', { description: 'of the shop' }],
    ],
    [
      ['volume', 'attach', 'pgdata', 'web-1', '/srv/data', '--readonly'],
      [
        'POST',
        '/v1/containers/web-1/set',
        { devices: { pgdata: { type: 'volume', volume: 'pgdata', path: '/srv/data', readonly: true } } },
      ],
    ],
    [
      ['device', 'add', 'web-1', 'disk', 'type=volume', 'volume=pgdata', 'path=/srv/data'],
      [
        'POST',
        '/v1/containers/web-1/set',
        { devices: { disk: { type: 'volume', volume: 'pgdata', path: '/srv/data' } } },
      ],
    ],
    [
      ['volume', 'detach', 'pgdata'],
      ['POST', '/v1/containers/web-1/set', { devices: { disk: null } }],
    ],
    [
      ['volume', 'delete', 'free'],
      ['DELETE', '/v1/volumes/free', null],
    ],
  ]
  for (const [words, write] of table) {
    const ran = await cluster.drover(words)
    t.equal(ran.exitCode, 0, `${words.join(' ')}: ${ran.stderr}`)
    t.same(cluster.writes.at(-1), write, words.join(' '))
  }
  const none = await cluster.drover(['volume', 'detach', 'free'])
  t.match(none, { exitCode: 0, stderr: /no container has volume free/ })
  const half = await cluster.drover(['device', 'add', 'web-1', 'disk', 'type=volume', 'volume=pgdata'])
  t.match(half.stderr, /path= is missing/)
  t.equal(cluster.writes.length, table.length, 'neither sends anything')
})

t.test('ls and info: where each is and who has it, as JSON, and names only', async (t) => {
  const cluster = await fakeCluster(t)
  t.match((await cluster.drover(['volume', 'ls'])).stderr, /no volumes yet; make one: drover volume create/)
  cluster.volumes = [attached, volume({ name: 'free' })]
  t.match((await cluster.drover(['volume', 'ls'])).stdout, /pgdata +a +web-1 +\/srv\/data \(read-only\) +of the shop/)
  t.equal((await cluster.drover(['volume', 'ls', '-q'])).stdout, 'pgdata\nfree\n')
  t.same((await cluster.drover(['volume', 'ls', '--json'])).json(), cluster.volumes)
  t.match((await cluster.drover(['volume', 'info', 'pgdata'])).stdout, /host +a\ncontainer +web-1\npath +\/srv\/data/)
  t.match((await cluster.drover(['volume', 'info', 'free'])).stdout, /host +none yet/)
  t.same((await cluster.drover(['volume', 'info', 'pgdata', '--json'])).json(), attached)
})

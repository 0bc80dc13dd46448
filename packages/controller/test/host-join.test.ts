// Tokens for new hosts and hosts that leave, as entries of the log.

import t from 'tap'
import { completeBatch } from '../src/core/assignments.ts'
import type { Entry } from '../src/core/entries.ts'
import { ModelCluster } from './support/model-cluster.ts'

const hashOf = (letter: string) => letter.repeat(64)

function begin() {
  const cluster = new ModelCluster([{ name: 'a' }, { name: 'b' }])
  let keys = 0
  const outcome = (entry: object) => {
    const operation = `op-${++keys}`
    const { ok, ...rest } = cluster.propose({ atMs: cluster.nowMs, operation, ...entry } as Entry)
    return ok ? 'taken' : (rest as { error: { error: { code: string; message: string } } }).error.error
  }
  const make = (host: string, secret: string, more: object = {}) =>
    outcome({
      type: 'HostTokenMade',
      host,
      secretHash: hashOf(secret),
      expiresAtMs: cluster.nowMs + 1000,
      again: false,
      ...more,
    })
  const use = (host: string, secret: string, key: string, address: string, atMs = cluster.nowMs) =>
    outcome({ type: 'HostTokenUsed', host, secretHash: hashOf(secret), keyHash: hashOf(key), address, atMs })
  const remove = (host: string, force = false) => outcome({ type: 'HostRemoved', host, force })
  return { cluster, make, use, remove, outcome }
}

t.test('a token is good for one key, in time, and the newest counts', async (t) => {
  const { cluster, make, use, outcome } = begin()
  t.match(use('c', '1', 'e', '10.0.0.9'), { code: 'TOKEN_REFUSED', message: /not known/ })
  t.equal(make('c', '1'), 'taken')
  t.equal(make('c', '2'), 'taken')
  t.match(use('c', '1', 'e', '10.0.0.9'), { code: 'TOKEN_REFUSED', message: /replaced/ })
  t.match(use('c', '2', 'e', cluster.state.tables.hosts.get('a')?.address ?? ''), { code: 'NAME_TAKEN' })
  t.match(use('c', '2', 'e', '10.0.0.9', cluster.nowMs + 1000), { code: 'TOKEN_REFUSED', message: /expired/ })
  t.equal(use('c', '2', 'e', '10.0.0.9'), 'taken')
  t.equal(use('c', '2', 'e', '10.0.0.9'), 'taken', 'the same key may ask again')
  t.match(use('c', '2', 'f', '10.0.0.9'), { code: 'TOKEN_REFUSED', message: /used before, from 10.0.0.9/ })
  t.match(outcome({ type: 'HostTokenRevoked', host: 'd' }), { code: 'TOKEN_REFUSED' })
  t.match(make('a', '3'), { code: 'NAME_TAKEN' })
  t.equal(make('a', '3', { again: true }), 'taken')
  t.match(make('d', '3', { again: true }), { code: 'HOST_NOT_FOUND' })
})

t.test('tokens are forgotten a day after they have expired, when another is made', async (t) => {
  const { cluster, make } = begin()
  make('c', '1')
  make('d', '1', { expiresAtMs: cluster.nowMs + 30 * 3_600_000 })
  make('e', '1', { atMs: cluster.nowMs + 25 * 3_600_000 })
  t.strictSame([...cluster.state.tables.hostTokens.keys()].sort(), ['d', 'e'])
})

t.test(
  'a host with a container or an image of its own stays; a removed one doesn’t come back by reports',
  async (t) => {
    const { cluster, make, use, remove } = begin()
    cluster.launch('web', 'b')
    cluster.settle()
    t.match(remove('b'), { code: 'WRONG_STATE', message: /web is there; say drover host evacuate b/ })
    t.match(remove('c'), { code: 'HOST_NOT_FOUND' })
    const host = cluster.state.tables.hosts.get('a')
    if (!host) throw new Error('the model has no host a')
    const { address, grpcPort, streamPort, capacity, features } = host
    const image = [...cluster.state.tables.images.values()][0]
    const facts = { name: 'c', address, grpcPort, streamPort, capacity, features, images: image ? [image.digest] : [] }
    const observed = () => cluster.propose({ type: 'HostObserved', atMs: cluster.nowMs, host: facts })
    t.equal(observed().ok, true)
    t.equal(remove('c'), 'taken')
    const heard = observed()
    t.match(heard, { ok: false, error: { error: { code: 'HOST_NOT_FOUND', message: /was removed/ } } })
    t.notOk(cluster.state.tables.hosts.has('c'))
    const told = () => completeBatch(cluster.state, 'a', 1).removedHosts
    t.strictSame(told(), ['c'], 'the others hear of it')
    make('c', '1')
    t.equal(observed().ok, false, 'a token alone changes nothing')
    t.equal(use('c', '1', 'e', '10.0.0.9'), 'taken')
    t.equal(observed().ok, true, 'having joined anew it is heard')
    t.strictSame(told(), [])
  },
)

t.test('images that are nowhere else keep a host, unless they may be lost', async (t) => {
  const { cluster, remove } = begin()
  const image = { digest: `sha256:${hashOf('a')}`, name: 'mine', sizeBytes: 1, init: ['/init'], createdAtMs: 0 }
  cluster.state.tables.images.set(image.digest, { ...image, revision: 1 } as never)
  const host = cluster.state.tables.hosts.get('b')
  if (host) cluster.state.tables.hosts.set('b', { ...host, images: [image.digest] })
  t.match(remove('b'), { code: 'WRONG_STATE', message: /image mine would be lost/ })
  t.equal(remove('b', true), 'taken')
})

t.test('a dead host is forgotten with its containers, by force and by name', async (t) => {
  const { cluster, remove, outcome } = begin()
  cluster.launch('web', 'b')
  cluster.launch('db', 'b', 'launch-db', { lifecycle: { protected: true } })
  cluster.launch('other', 'a')
  cluster.settle()
  t.match(
    remove('b', true),
    { code: 'WRONG_STATE', message: /db, web are there; say drover host evacuate b/ },
    'it lives',
  )
  t.equal(outcome({ type: 'HostSilenceChanged', host: 'b', silent: true }), 'taken')
  t.match(remove('b', true), { code: 'WRONG_STATE', message: /it is silent; .*drover host lost b --i-am-sure/ })
  t.equal(outcome({ type: 'HostLost', host: 'b', sure: true }), 'taken')
  t.match(remove('b'), { code: 'WRONG_STATE', message: /with --force they are forgotten, and their disks/ })
  t.equal(cluster.state.tables.containers.size, 3, 'so far nothing is lost')
  t.equal(remove('b', true), 'taken')
  t.same(
    [...cluster.state.tables.containers.values()].map(({ name }) => name),
    ['other'],
  )
  t.notOk(cluster.state.tables.hosts.has('b'))
  const ended = [...cluster.state.tables.operations.values()].find(({ kind }) => kind === 'host-remove')
  t.match(ended, { state: 'done', progress: { message: 'removed; lost: db, web' } })
  const said = cluster.events.filter(({ kind }) => kind === 'container.lost').map(({ message }) => message)
  t.same(said.length, 2)
  t.match(said[0], /db was forgotten with host b, and its disk with it/)
  cluster.launch('web', 'a', 'launch-again')
  cluster.settle()
  t.equal(cluster.container('web').host, 'a', 'its name is free again')
})

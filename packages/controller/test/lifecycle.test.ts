// Containers that go by themselves, and such as nobody can delete by mistake.

import t from 'tap'
import type { EntryOf } from '../src/core/entries.ts'
import { ModelCluster } from './support/model-cluster.ts'

function begin() {
  const cluster = new ModelCluster([{ name: 'a' }])
  let keys = 0
  const power = (kind: EntryOf<'PowerRequested'>['kind'], container: string) =>
    cluster.propose({
      type: 'PowerRequested',
      atMs: cluster.nowMs,
      operation: `power-${++keys}`,
      kind,
      container,
      stopTimeoutMs: null,
    })
  const set = (container: string, lifecycle: { ephemeral?: boolean; protected?: boolean }) =>
    cluster.propose({
      type: 'SetRequested',
      atMs: cluster.nowMs,
      operation: `set-${++keys}`,
      container,
      change: { lifecycle },
    })
  /** What its host says of it. */
  const observe = (name: string, state: 'running' | 'stopped', starts: number) =>
    cluster.propose({
      type: 'ContainerObserved',
      atMs: cluster.nowMs,
      container: cluster.container(name).id,
      host: 'a',
      epoch: 1,
      state,
      message: null,
      initPid: state === 'running' ? 1 : null,
      startedAtMs: 1,
      starts,
    })
  return { cluster, power, set, observe }
}

t.test('ephemeral: it goes when it stops, by itself or told to, and not by a reboot', async (t) => {
  const { cluster, power, set, observe } = begin()
  for (const name of ['told', 'alone', 'later', 'usual']) {
    cluster.launch(
      name,
      'a',
      `launch-${name}`,
      name === 'later' || name === 'usual' ? {} : { lifecycle: { ephemeral: true } },
    )
  }
  cluster.settle()
  t.ok(power('stop', 'told').ok)
  t.ok(power('stop', 'usual').ok)
  cluster.settle()
  t.equal(cluster.container('told'), undefined)
  t.equal(cluster.operation('power-1').state, 'done', 'the stop is a success')
  t.match(cluster.container('usual'), { state: 'stopped', deleting: false })

  t.ok(observe('alone', 'running', 2).ok)
  t.match(cluster.container('alone'), { state: 'running', deleting: false, starts: 2 }, 'it has rebooted')
  t.ok(observe('alone', 'stopped', 2).ok)
  cluster.settle()
  t.equal(cluster.container('alone'), undefined)

  t.ok(set('later', { ephemeral: true }).ok)
  cluster.settle()
  t.ok(power('stop', 'later').ok)
  cluster.settle()
  t.equal(cluster.container('later'), undefined)
})

t.test('protected: it isn’t deleted before that is taken away', async (t) => {
  const { cluster, power, set } = begin()
  cluster.launch('web', 'a', 'launch-web', { lifecycle: { protected: true, ephemeral: true } })
  cluster.settle()
  const refused = power('delete', 'web')
  t.match(refused, {
    ok: false,
    error: { error: { code: 'WRONG_STATE', message: /drover set web protection\.delete=false/ } },
  })
  t.ok(power('stop', 'web').ok)
  cluster.settle()
  t.match(
    cluster.container('web'),
    { state: 'stopped', deleting: false },
    'protection counts for more than being ephemeral',
  )
  t.ok(set('web', { protected: false }).ok)
  cluster.settle()
  t.same(cluster.container('web').spec.lifecycle, { protected: false, ephemeral: true })
  t.ok(power('delete', 'web').ok)
  cluster.settle()
  t.equal(cluster.container('web'), undefined)
})

t.test('launch without a start: made, and left stopped until it is started', async (t) => {
  const { cluster, power } = begin()
  cluster.launch('web', 'a', 'launch-web', {}, { start: false })
  cluster.settle()
  t.match(cluster.operation('launch-web'), { state: 'done', progress: { message: 'made on a' } })
  t.match(cluster.container('web'), { state: 'stopped', starts: 0, operation: null })
  t.ok(power('start', 'web').ok)
  cluster.settle()
  t.match(cluster.container('web'), { state: 'running', starts: 1 })
})

t.test('rebuild: a fresh disk under the same name, address and settings; off stays off', async (t) => {
  const { cluster, power } = begin()
  cluster.launch('web', 'a', 'launch-web', { limits: { pids: 7 } })
  cluster.settle()
  const before = cluster.container('web')
  const rebuild = (operation: string, more: { force?: boolean; image?: string } = {}) => {
    const { force = false, image = 'sha256:2' } = more
    const made = { image, imageName: 'other', init: ['/init'] }
    const at = { atMs: cluster.nowMs, operation, container: 'web' }
    return cluster.propose({ type: 'RebuildRequested', ...at, image: made, force })
  }
  t.match(rebuild('running'), { ok: false, error: { error: { code: 'WRONG_STATE', message: /--force/ } } })
  t.match(rebuild('forced', { force: true }), { ok: true, value: { kind: 'rebuild' } })
  cluster.settle()
  t.match(cluster.operation('forced'), { state: 'done' })
  const after = cluster.container('web')
  t.match(after, { state: 'running', starts: 1, epoch: 2, identity: before.identity, operation: null })
  t.match(after.spec, { image: 'sha256:2', imageName: 'other', init: ['/init'], limits: { pids: 7 } })
  t.ok(power('stop', 'web').ok)
  cluster.settle()
  t.ok(rebuild('off', { image: 'sha256:3' }).ok)
  cluster.settle()
  t.match(cluster.operation('off'), { state: 'done' })
  t.match(cluster.container('web'), { state: 'stopped', starts: 0, epoch: 3 })
})

t.test('rebuild: what would go with the disk is to be deleted first', async (t) => {
  const { cluster, set } = begin()
  cluster.launch('web', 'a')
  cluster.settle()
  const rebuild = (operation: string) =>
    cluster.propose({
      type: 'RebuildRequested',
      atMs: cluster.nowMs,
      operation,
      container: 'web',
      image: { image: 'sha256:2', imageName: 'other', init: ['/init'] },
      force: true,
    })
  set('web', { protected: true })
  cluster.settle()
  t.match(rebuild('protected'), { ok: false, error: { error: { message: /protection\.delete=false/ } } })
  set('web', { protected: false })
  cluster.settle()
  const snapshot = {
    operation: 'take',
    container: 'web',
    name: 'first',
    memory: false,
    expiresAtMs: null,
    scheduled: false,
  }
  cluster.must({ type: 'SnapshotRequested', atMs: cluster.nowMs, ...snapshot })
  cluster.settle()
  t.match(rebuild('kept'), { ok: false, error: { error: { message: /delete first first/ } } })
})

// rename: one entry, done at once; refused by name on conflict and while something else is under way.

import t from 'tap'
import { assignmentsOf } from '../src/core/assignments.ts'
import { apiFixture } from './support/api-fixture.ts'
import { ModelCluster } from './support/model-cluster.ts'

function cluster() {
  const made = new ModelCluster([{ name: 'a' }, { name: 'b' }])
  made.launch('web', 'a')
  made.launch('db', 'a')
  made.settle()
  const rename = (container: string, name: string, operation = `rename-${container}-${name}`) =>
    made.propose({ type: 'ContainerRenamed', atMs: made.nowMs, operation, container, name })
  return { made, rename }
}

t.test('rename: the same container under another name, at once, and its host is told', async (t) => {
  const { made, rename } = cluster()
  const before = made.container('web')
  t.match(rename('web', 'shop'), { ok: true, value: { kind: 'rename', target: 'web', state: 'done' } })
  const after = made.container('shop')
  t.match(after, { id: before.id, identity: before.identity, state: 'running', starts: 1, operation: null })
  t.equal(made.state.idsByName.has('web'), false, 'the old name is free')
  const { assignment } = assignmentsOf(made.state, after)[0]!
  t.match(assignment, { name: 'shop', container: before.id })
  t.ok(assignment.revision > before.assignedRevision, 'a newer assignment')
  t.match(
    rename('web', 'shop'),
    { ok: true, value: { id: 'rename-web-shop' } },
    'the same request is the same operation',
  )
  made.settle()
  t.match(made.container('shop'), { state: 'running', starts: 1 }, 'it ran on')
  made.launch('web', 'a', 'launch-again')
  made.settle()
  t.not(made.container('web').id, before.id, 'another one can have the old name')
})

t.test('rename: a taken name, an unknown container, or an operation under way refuse it by name', async (t) => {
  const { made, rename } = cluster()
  const refused = (code: string, message: RegExp) => ({ ok: false, error: { error: { code, message } } })
  t.match(rename('web', 'db'), refused('NAME_TAKEN', /rename web to db: a container of that name exists/))
  t.match(rename('web', 'web'), refused('NAME_TAKEN', /rename web to web/))
  t.match(rename('nobody', 'x'), refused('CONTAINER_NOT_FOUND', /nobody/))
  const stop = { operation: 'stop-web', kind: 'stop', container: 'web', stopTimeoutMs: null } as const
  made.must({ type: 'PowerRequested', atMs: made.nowMs, ...stop })
  t.match(rename('web', 'shop'), refused('BUSY', /rename web: its stop stop-web is under way/))
  made.settle()
  t.match(rename('web', 'shop', 'later'), { ok: true }, 'afterwards it can be')
  t.equal(made.container('shop').state, 'stopped')
  made.must({ type: 'PowerRequested', atMs: made.nowMs, ...stop, operation: 'rm', kind: 'delete', container: 'db' })
  t.match(rename('db', 'x'), { ok: false })
})

t.test('rename: the name is checked before anything is proposed', async (t) => {
  const { call } = await apiFixture(t)
  for (const name of ['Web', 'a.b', '-a', '', 'a'.repeat(64)]) {
    const { status, body } = await call('POST', '/v1/containers/web/rename', { body: { name } })
    t.equal(status, 400, JSON.stringify(name))
    t.match(body, { error: { code: 'BAD_REQUEST', message: /name/ } })
  }
  t.match(await call('POST', '/v1/containers/x/rename', { body: { name: 'y' } }), {
    body: { error: { code: 'CONTAINER_NOT_FOUND' } },
  })
})

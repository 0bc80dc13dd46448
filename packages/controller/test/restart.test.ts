// restart: one operation that stops a container and starts it; whatever ends it early leaves the container as one would expect.

import type { Operation } from '@drover/protocol'
import t from 'tap'
import { assignmentsOf } from '../src/core/assignments.ts'
import { ModelCluster } from './support/model-cluster.ts'

function cluster() {
  const made = new ModelCluster([{ name: 'a' }])
  made.launch('web', 'a')
  made.settle()
  const restart = (operation: string, stopTimeoutMs: number | null = null) =>
    made.propose({
      type: 'PowerRequested',
      atMs: made.nowMs,
      operation,
      kind: 'restart',
      container: 'web',
      stopTimeoutMs,
    })
  const find = (id: string) => made.state.tables.operations.get(id) as Operation
  return { made, restart, find }
}

t.test('restart: stopped within its time, then started, as one operation', async (t) => {
  const { made, restart, find } = cluster()
  t.match(restart('again', 5_000), { ok: true, value: { state: 'running', phase: 'stopping' } })
  t.match(assignmentsOf(made.state, made.container('web'))[0]?.assignment, { desired: 'stopped', stopTimeoutMs: 5_000 })
  made.settle()
  t.match(find('again'), { state: 'done', progress: { message: 'running on a' } })
  t.match(made.container('web'), { state: 'running', desired: 'running', starts: 2, operation: null })
  t.match(restart('again', 5_000), { ok: true, value: { state: 'done' } }, 'the same request is the same operation')
})

t.test('restart: a frozen one runs afterwards, a stopped one is refused', async (t) => {
  const { made, restart } = cluster()
  const power = (kind: 'freeze' | 'stop') => {
    const entry = { operation: kind, kind, container: 'web', stopTimeoutMs: null } as const
    made.must({ type: 'PowerRequested', atMs: made.nowMs, ...entry })
    made.settle()
  }
  power('freeze')
  t.match(restart('thaws'), { ok: true })
  made.settle()
  t.match(made.container('web'), { state: 'running', starts: 2 })
  power('stop')
  t.match(restart('late'), {
    ok: false,
    error: { error: { code: 'WRONG_STATE', message: 'restart web: it is stopped, not running or frozen' } },
  })
})

t.test('restart: cancelled before the stop it runs on', async (t) => {
  const { made, restart, find } = cluster()
  restart('again')
  made.must({ type: 'CancelRequested', atMs: made.nowMs, operation: 'again' })
  made.settle()
  t.match(find('again'), { state: 'cancelled' })
  t.match(made.container('web'), { state: 'running', desired: 'running', operation: null })
})

// Containers whose inits end by themselves: which are started again, when, and what is reported meanwhile.

import type { EngineContainer } from '@drover/engine'
import type { RestartPolicy } from '@drover/protocol'
import t from 'tap'
import { ContainerObserver } from '../src/observe.ts'
import { planRestart, type RestartHistory, waitsForOthers } from '../src/reconcile/restart-policy.ts'
import { assignmentFor } from './harness.ts'

const revision = 7
const assigned = (policy: RestartPolicy['policy'], most = 0) => {
  const assignment = { ...assignmentFor('c1', `sha256:${'a'.repeat(64)}`), revision }
  return { ...assignment, spec: { ...assignment.spec, restart: { policy, most } } }
}
const ended = (exit: EngineContainer['exit'], starts = 1): EngineContainer => ({
  container: 'c1',
  name: 'one',
  epoch: assigned('no').epoch,
  state: 'stopped',
  initPid: null,
  startedAtMs: 1000,
  starts,
  exit,
  upper: '/upper',
  memoryBytes: 0,
  cpuUsec: 0,
  processes: 0,
})

t.test('restart: by policy and how it ended', async (t) => {
  const table: [RestartPolicy['policy'], EngineContainer['exit'], boolean][] = [
    ['no', { reason: 'exit', status: 1 }, false],
    ['on-failure', { reason: 'exit', status: 1 }, true],
    ['on-failure', { reason: 'killed', status: 9 }, true],
    ['on-failure', { reason: 'exit', status: 0 }, false],
    ['on-failure', { reason: 'poweroff', status: 2 }, false],
    ['on-failure', null, true],
    ['always', { reason: 'poweroff', status: 2 }, true],
    ['always', { reason: 'exit', status: 0 }, true],
  ]
  for (const [policy, exit, again] of table) {
    const name = `${policy} after ${exit?.reason} ${exit?.status}`
    t.equal(planRestart(ended(exit), assigned(policy), revision, null, 2000) !== null, again, name)
  }
})

t.test('restart: never against what is wanted', async (t) => {
  const crashed = ended({ reason: 'exit', status: 1 })
  const always = assigned('always')
  t.equal(planRestart(crashed, { ...always, desired: 'stopped' }, revision, null, 2000), null, 'wanted stopped')
  t.equal(planRestart(crashed, always, revision - 1, null, 2000), null, 'not yet run: an ordinary start')
  t.equal(planRestart({ ...crashed, state: 'running' }, always, revision, null, 2000), null, 'runs')
  t.equal(planRestart({ ...crashed, epoch: 99 }, always, revision, null, 2000), null, 'another epoch')
})

t.test('restart: pauses double up to a minute, a long run begins anew, the cap ends it', async (t) => {
  const always = assigned('always')
  let history: RestartHistory | null = null
  const pauses: number[] = []
  for (let starts = 1; starts <= 8; starts += 1) {
    const crashed = { ...ended({ reason: 'exit', status: 1 }, starts), startedAtMs: 10_000 * starts }
    const nowMs = 10_000 * starts + 5
    history = planRestart(crashed, always, revision, history, nowMs)
    pauses.push((history?.dueMs ?? 0) - nowMs)
    t.equal(planRestart(crashed, always, revision, history, nowMs + 1), history, 'asking again changes nothing')
  }
  t.same(pauses, [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000])
  const long = { ...ended({ reason: 'exit', status: 1 }, 9), startedAtMs: 0 }
  t.match(planRestart(long, always, revision, history, 60_000), { attempts: 1, dueMs: 61_000 })
  const twice = assigned('always', 2)
  const second = planRestart(ended(null, 2), twice, revision, { starts: 1, attempts: 1, dueMs: 0 }, 2000)
  t.match(second, { attempts: 2 })
  t.equal(planRestart(ended(null, 3), twice, revision, second, 3000), null)
})

t.test(
  'restart: while it waits it is reported as about to start, so that nobody takes its end for its will',
  async (t) => {
    const planned = { starts: 1, attempts: 3, dueMs: 5 }
    const crashed = ended({ reason: 'exit', status: 4 })
    t.match(
      new ContainerObserver().observe(
        [crashed],
        () => assigned('always'),
        [],
        () => planned,
      ),
      [{ state: 'created', message: 'init ended with status 4; restart 3 in a row is due' }],
    )
    t.match(
      new ContainerObserver().observe(
        [crashed],
        () => assigned('no'),
        [],
        () => null,
      ),
      [{ state: 'stopped' }],
    )
  },
)

t.test(
  'autostart: what went down with its host is started again, higher orders first, unless it isn’t to be',
  async (t) => {
    const host = { reason: 'host', status: 0 } as const
    const autostart = (order: number, more: object = {}) => {
      const assignment = assigned('no')
      return { ...assignment, spec: { ...assignment.spec, autostart: { enabled: true, order, delayMs: 0, ...more } } }
    }
    t.match(planRestart(ended(host), assigned('no'), revision, null, 2000), { attempts: 0, dueMs: 2000 }, 'by default')
    t.match(planRestart(ended(host), autostart(0, { delayMs: 500 }), revision, null, 2000), { dueMs: 2500 })
    t.equal(planRestart(ended(host), autostart(0, { enabled: false }), revision, null, 2000), null)
    t.equal(planRestart(ended(host), { ...assigned('no'), desired: 'stopped' }, revision, null, 2000), null)
    const row = (container: string, order: number, more: object = {}) => ({
      container: { ...ended(host), container },
      assignment: autostart(order),
      failed: false,
      ...more,
    })
    t.equal(waitsForOthers('c1', [row('c1', 1), row('c2', 2)]), true)
    t.equal(waitsForOthers('c1', [row('c1', 1), row('c2', 1), row('c3', 0)]), false, 'equals are started side by side')
    t.equal(waitsForOthers('c1', [row('c1', 1), row('c2', 2, { failed: true })]), false, 'what fails holds up nobody')
    t.equal(waitsForOthers('c1', [row('c1', 1), row('c2', 2, { assignment: autostart(2, { enabled: false }) })]), false)
    t.match(
      new ContainerObserver().observe(
        [ended(host)],
        () => assigned('no'),
        [],
        () => ({ starts: 1, attempts: 0, dueMs: 0 }),
      ),
      [{ state: 'created', message: 'its host went down; it is about to be started' }],
    )
  },
)

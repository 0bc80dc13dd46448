// Scheduling through the API: settings, plans and explanations are checked, answer what the core says, and change nothing unasked.

import type {
  ContainerExplanation,
  EvacuationPlanView,
  LaunchExplanation,
  Operation,
  RebalancePlanView,
  RebalanceStatus,
  SchedulingPolicy,
} from '@drover/protocol'
import t, { type Test } from 'tap'
import { completeBatch } from '../src/core/assignments.ts'
import { submit } from '../src/shell/submit.ts'
import { apiFixture } from './support/api-fixture.ts'

async function cluster(t: Test) {
  const { call, context, models, report } = await apiFixture(t)
  let key = 0
  const request = (method: 'GET' | 'POST', url: string, body?: unknown) => {
    key += 1
    const headers = { 'idempotency-key': `key-${key}` }
    return call<unknown>(method, url, { headers, ...(body === undefined ? {} : { body }) })
  }
  /** Hosts learn what they shall do, do it and report. */
  const settle = async () => {
    for (const [name, model] of models) {
      model.receive(completeBatch(context.machine.state, name, 1))
      while (model.act());
      await report(name)
    }
  }
  return { request, settle, log: context.log }
}

t.test('what a host, a pool and a project are set to is kept, and shown', async (t) => {
  const { request } = await cluster(t)
  const set = await request('POST', '/v1/hosts/a/set', {
    labels: { disk: 'ssd' },
    taints: { gpu: 'avoid' },
    rack: 'r1',
  })
  t.match(set, { status: 202, body: { kind: 'host-set', state: 'done' } })
  t.match((await request('GET', '/v1/hosts/a')).body, { labels: { disk: 'ssd' }, taints: { gpu: 'avoid' }, rack: 'r1' })
  await request('POST', '/v1/policy', {
    pools: { default: { overcommitCpu: 4 } },
    projects: { blue: { containers: 2 } },
  })
  const policy = (await request('GET', '/v1/policy')).body as SchedulingPolicy
  t.match(policy, { pools: { default: { overcommitCpu: 4 } }, projects: { blue: { containers: 2 } } })
})

t.test('bad settings are refused, with the field', async (t) => {
  const { request } = await cluster(t)
  const bad: [string, unknown, RegExp][] = [
    ['/v1/hosts/a/set', { labels: { 'Not a key': 'x' } }, /labels/],
    ['/v1/hosts/a/set', { taints: { gpu: 'burn' } }, /taints/],
    ['/v1/hosts/a/set', { colour: 'red' }, /colour|additional/],
    ['/v1/policy', { pools: { default: { overcommitCpu: 0.5 } } }, /overcommitCpu/],
    ['/v1/policy', { rebalance: { mode: 'sometimes' } }, /mode/],
    ['/v1/evacuation-plan', { hosts: [] }, /hosts/],
    ['/v1/explain', { memoryBytes: 'much' }, /memoryBytes/],
  ]
  for (const [path, body, field] of bad) {
    const answer = await request('POST', path, body)
    t.match(answer, { status: 400, body: { error: { code: 'BAD_REQUEST', message: field } } }, `${path} ${field}`)
  }
  t.match(await request('POST', '/v1/hosts/z/set', { rack: 'r' }), { status: 404 })
  t.match(await request('POST', '/v1/evacuation-plan', { hosts: ['z'] }), { status: 404 })
})

t.test('explain: where a launch would go and why not elsewhere; where it is, and would be now', async (t) => {
  const { request, settle } = await cluster(t)
  await request('POST', '/v1/hosts/a/set', { labels: { disk: 'ssd' } })
  const what = { scheduling: { require: { disk: 'ssd' } } }
  const explained = (await request('POST', '/v1/explain', what)).body as LaunchExplanation
  t.match(explained, { host: 'a', room: null })
  t.match(
    explained.placement.hosts.find(({ host }) => host === 'b'),
    { refusal: 'LABEL_MISMATCH' },
  )
  const huge = (await request('POST', '/v1/explain', { memoryBytes: 2 ** 45 })).body as LaunchExplanation
  t.match(huge, { host: null, room: null, placement: { reason: /short of memory/ } })
  t.same((await request('GET', '/v1/containers')).body, [], 'asking launches nothing')
  await request('POST', '/v1/containers', { name: 'web', ...what })
  await settle()
  await request('POST', '/v1/hosts/a/set', { labels: { disk: null } })
  await request('POST', '/v1/hosts/b/set', { labels: { disk: 'ssd' } })
  const now = (await request('GET', '/v1/containers/web/explain')).body as ContainerExplanation
  t.match(now, { host: 'a', placed: { chosen: 'a' }, now: { chosen: 'b' }, lastMove: null })
})

t.test('an evacuation’s plan and rebalancing’s change nothing; apply with nothing to do is done', async (t) => {
  const { request, settle } = await cluster(t)
  await request('POST', '/v1/containers', { name: 'web', host: 'a' })
  await settle()
  const plan = (await request('POST', '/v1/evacuation-plan', { hosts: ['a'] })).body as EvacuationPlanView
  t.match(plan, { moves: [{ container: 'web', from: 'a', to: 'b', how: 'live' }], stays: [], meetsDeadline: true })
  t.match((await request('GET', '/v1/hosts/a')).body, { cordoned: false })
  t.match((await request('GET', '/v1/rebalance/plan')).body as RebalancePlanView, { moves: [], verdict: 'BALANCED' })
  t.match((await request('POST', '/v1/rebalance/apply')).body as Operation, { state: 'done', kind: 'rebalance' })
  t.match((await request('GET', '/v1/rebalance')).body as RebalanceStatus, {
    settings: { mode: 'off' },
    operation: null,
    last: { trigger: 'manual' },
  })
  t.equal(((await request('GET', '/v1/rebalance/history')).body as unknown[]).length, 1)
})

t.test('a host that consolidation has closed is opened for a launch that fits nowhere else', async (t) => {
  const { request, log } = await cluster(t)
  const operation = 'consolidate-b-1'
  await submit(log, { type: 'EvacuationStarted', atMs: Date.now(), operation, host: 'b', parallel: 1 })
  const ended = { state: 'done', message: 'empty', error: null, figures: {} } as const
  await submit(log, { type: 'OperationEnded', atMs: Date.now(), operation, ...ended })
  await request('POST', '/v1/containers', { name: 'first', memoryBytes: 6 * 2 ** 30 })
  t.match((await request('GET', '/v1/hosts/b')).body, { cordoned: true }, 'there was room on a')
  t.match(await request('POST', '/v1/containers', { name: 'second', memoryBytes: 6 * 2 ** 30 }), { status: 202 })
  t.match((await request('GET', '/v1/containers/second')).body, { host: 'b' })
  t.match((await request('GET', '/v1/hosts/b')).body, { cordoned: false })
  t.match(await request('POST', '/v1/containers', { name: 'third', memoryBytes: 6 * 2 ** 30 }), { status: 409 })
})

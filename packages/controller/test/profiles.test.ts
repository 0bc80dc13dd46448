// Profiles: what they make of a launch, which setting wins, and how a change of one reaches its containers.

import { defaultRequests, type ProfileRequest, type ProfileSettings, usualMemoryLimitBytes } from '@drover/protocol'
import t from 'tap'
import type { EntryOf } from '../src/core/entries.ts'
import { mergeSettings } from '../src/core/merge-settings.ts'
import { launchWithProfiles, profileReach } from '../src/core/profiles.ts'
import { withUsualMemory } from '../src/shell/launch-spec.ts'
import { apiFixture } from './support/api-fixture.ts'
import { ModelCluster } from './support/model-cluster.ts'

const MiB = 2 ** 20

function begin() {
  const cluster = new ModelCluster([{ name: 'a' }])
  let keys = 0
  const profile = (name: string, action: EntryOf<'ProfileChanged'>['action'], request: ProfileRequest = {}) => {
    const outcome = cluster.propose({
      type: 'ProfileChanged',
      atMs: cluster.nowMs,
      operation: `p-${++keys}`,
      name,
      action,
      request,
    })
    return outcome.ok ? 'taken' : outcome.error.error.code
  }
  const launch = (name: string, profiles: string[], own: ProfileSettings = {}) => {
    const { request } = launchWithProfiles(cluster.state, { profiles, ...own, ...own.requests } as never) as {
      request: ProfileSettings
    }
    const { limits = {}, environment = {} } = request
    cluster.launch(name, 'a', `launch-${name}`, { limits, environment, profiles, own } as never)
  }
  const set = (name: string, change: EntryOf<'SetRequested'>['change']) =>
    cluster.must({ type: 'SetRequested', atMs: cluster.nowMs, operation: `set-${++keys}`, container: name, change })
  return { cluster, profile, launch, set, spec: (name: string) => cluster.container(name).spec }
}

t.test('profiles: later ones win, then what was said of the container alone', async (t) => {
  const disk = { type: 'bind', source: '/a', path: '/a' } as const
  const first = {
    limits: { memoryBytes: 64 * MiB, pids: 100 },
    devices: { data: disk },
    restart: { policy: 'always', most: 3 },
  } as const
  const second = { limits: { memoryBytes: 128 * MiB }, restart: { policy: 'no', most: 0 } } as const
  t.same(mergeSettings(first, second), {
    limits: { memoryBytes: 128 * MiB, pids: 100 },
    devices: { data: disk },
    restart: { policy: 'no', most: 0 },
  })
  const { cluster, profile } = begin()
  profile('one', 'create', { settings: first })
  profile('two', 'create', { settings: second })
  const expand = (profiles: string[], own: object) =>
    launchWithProfiles(cluster.state, { name: 'x', profiles, ...own }).request
  t.match(expand(['one', 'two'], {}), { limits: { memoryBytes: 128 * MiB, pids: 100 }, devices: { data: disk } })
  t.match(expand(['two', 'one'], { limits: { pids: 7 }, memoryBytes: 5 * MiB }), {
    limits: { memoryBytes: 64 * MiB, pids: 7 },
    memoryBytes: 5 * MiB,
    restart: { policy: 'always', most: 3 },
  })
  t.throws(() => expand(['none'], {}), { code: 'PROFILE_NOT_FOUND' })
})

t.test('profiles: a change reaches those that run, but for what was set on one alone', async (t) => {
  const { cluster, profile, launch, set, spec } = begin()
  profile('small', 'create', { settings: { limits: { memoryBytes: 64 * MiB, pids: 100 } } })
  for (const name of ['one', 'two']) launch(name, ['small'])
  cluster.launch('other', 'a')
  cluster.settle()
  set('two', { limits: { memoryBytes: 99 * MiB } })
  cluster.settle()
  const before = cluster.container('other').revision
  t.equal(profile('small', 'change', { settings: { limits: { memoryBytes: 128 * MiB, cpuWeight: 50 } } }), 'taken')
  cluster.settle()
  t.match(spec('one').limits, { memoryBytes: 128 * MiB, pids: 100, cpuWeight: 50 })
  t.match(spec('two').limits, { memoryBytes: 99 * MiB, pids: 100, cpuWeight: 50 }, 'its own stays')
  t.equal(cluster.container('other').revision, before, 'who has it not is left alone')
  t.match(cluster.container('one'), { state: 'running', starts: 1 })
  const settings = { limits: { pids: 50 } }
  t.equal(profile('small', 'change', { settings, replace: true, ifRevision: 1 }), 'BUSY', 'changed since')
  t.equal(profile('small', 'change', { settings, replace: true }), 'taken')
  cluster.settle()
  t.equal(spec('one').limits?.memoryBytes, usualMemoryLimitBytes, 'what it no longer says is as usual')
  t.equal(spec('one').limits?.cpuWeight ?? null, null, 'or not set')
  t.equal(spec('one').limits?.pids, 50)
})

t.test('profiles: given to a container later, and taken away again', async (t) => {
  const { cluster, profile, set, spec } = begin()
  profile('p', 'create', { settings: { limits: { memoryBytes: 64 * MiB, pids: 100 } } })
  cluster.launch('web', 'a', 'launch-web', { limits: { pids: 7 } })
  cluster.settle()
  set('web', { profiles: ['p'] })
  cluster.settle()
  t.match(spec('web'), { profiles: ['p'], limits: { memoryBytes: 64 * MiB, pids: 7 } }, 'what it had counts as its own')
  set('web', { profiles: [] })
  cluster.settle()
  t.same(
    Object.entries(spec('web').limits ?? {}).filter(([, value]) => value !== null),
    [['pids', 7]],
  )
  const outcome = cluster.propose({
    type: 'SetRequested',
    atMs: cluster.nowMs,
    operation: 'x',
    container: 'web',
    change: { profiles: ['none'] },
  })
  t.match(outcome, { ok: false, error: { error: { code: 'PROFILE_NOT_FOUND' } } })
})

t.test('profiles: memory that nobody has spoken of is theirs to say', async (t) => {
  const { cluster, profile, set, spec } = begin()
  profile('small', 'create', { settings: { limits: { memoryBytes: 64 * MiB } } })
  profile('slow', 'create', { settings: { limits: { cpuMilli: 100 } } })
  const usual = { requests: defaultRequests, limits: { memoryBytes: usualMemoryLimitBytes } }
  cluster.launch('web', 'a', 'launch-web', usual)
  cluster.launch('said', 'a', 'launch-said', { ...usual, limits: { memoryBytes: 128 * MiB } })
  cluster.settle()
  for (const name of ['web', 'said']) set(name, { profiles: ['small', 'slow'] })
  cluster.settle()
  t.match(spec('web').limits, { memoryBytes: 64 * MiB, cpuMilli: 100 })
  t.match(spec('said').limits, { memoryBytes: 128 * MiB, cpuMilli: 100 })
  set('web', { profiles: ['slow'] })
  cluster.settle()
  t.match(spec('web'), usual, 'as it was')
  const none = { limits: { memoryBytes: null, pids: 5 } }
  t.same(withUsualMemory(cluster.state, 'web', none).limits, { memoryBytes: usualMemoryLimitBytes, pids: 5 })
  const asking = { ...none, requests: { memoryBytes: 300 * MiB } }
  t.equal(withUsualMemory(cluster.state, 'web', asking), asking, 'it is said what it asks for')
})

t.test('profiles: what needs a stop or more room waits, and is said', async (t) => {
  const { cluster, profile, launch } = begin()
  profile('p', 'create')
  launch('web', ['p'])
  cluster.settle()
  profile('p', 'change', {
    settings: { security: { nesting: true }, limits: { pids: 77 }, requests: { memoryBytes: 2 ** 49 } },
  })
  cluster.settle()
  t.match(cluster.container('web').spec.limits, { pids: 77 }, 'what can be is, at once')
  t.notOk(cluster.container('web').spec.security?.nesting)
  t.match(profileReach(cluster.state, cluster.container('web'))?.waits, [/security.*stopped/, /host a is too full/])
  cluster.must({
    type: 'PowerRequested',
    atMs: cluster.nowMs,
    operation: 'stop',
    kind: 'stop',
    container: 'web',
    stopTimeoutMs: null,
  })
  cluster.settle()
  t.ok(cluster.container('web').spec.security?.nesting)
})

t.test('profiles: one that is in use stays, and names are taken once', async (t) => {
  const { cluster, profile, launch } = begin()
  t.equal(profile('p', 'create'), 'taken')
  t.equal(profile('p', 'create'), 'NAME_TAKEN')
  t.equal(profile('q', 'change'), 'PROFILE_NOT_FOUND')
  launch('web', ['p'])
  cluster.settle()
  t.equal(profile('p', 'remove'), 'WRONG_STATE')
  cluster.must({
    type: 'PowerRequested',
    atMs: cluster.nowMs,
    operation: 'del',
    kind: 'delete',
    container: 'web',
    stopTimeoutMs: null,
  })
  cluster.settle()
  t.equal(profile('p', 'remove'), 'taken')
  t.equal(cluster.state.tables.profiles.size, 0)
})

t.test('profiles: through the API', async (t) => {
  const { api, call, context } = await apiFixture(t)
  const headers = { authorization: `Bearer ${context.config.secret}`, 'content-type': 'application/json' }
  const made = await api.inject({
    method: 'PUT',
    url: '/v1/profiles/small',
    headers,
    payload: JSON.stringify({ description: 'tiny', settings: { limits: { memoryBytes: 64 * MiB } } }),
  })
  t.equal(made.statusCode, 202)
  t.match((await call('GET', '/v1/profiles/small')).body, { name: 'small', description: 'tiny' })
  t.equal((await call('GET', '/v1/profiles/none')).status, 404)
  const wrong = await call('POST', '/v1/profiles/small', { body: { settings: { limits: { memoryBytes: 1 } } } })
  t.match(wrong.body, { error: { code: 'BAD_REQUEST', context: { field: 'body.settings.limits.memoryBytes' } } })
  await call('POST', '/v1/containers', { body: { name: 'web', profiles: ['small'], limits: { pids: 9 } } })
  t.match((await call('GET', '/v1/containers/web')).body, {
    spec: { profiles: ['small'], own: { limits: { pids: 9 } }, limits: { memoryBytes: 64 * MiB, pids: 9 } },
  })
})

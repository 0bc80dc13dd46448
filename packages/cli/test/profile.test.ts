// `drover profile` and what of it shows elsewhere.

import type { Profile } from '@drover/protocol'
import t from 'tap'
import { expandedSettings } from '../src/expanded.ts'
import { fakeCluster } from './fake-cluster.ts'
import { container } from './resources.ts'

const MiB = 2 ** 20

t.test('create, set, assign and rm send what they say; launch names its profiles in their order', async (t) => {
  const cluster = await fakeCluster(t)
  const table: [string[], unknown[]][] = [
    [
      ['profile', 'create', 'small', 'memory=64MiB', 'restart=always', '--description', 'tiny'],
      [
        'PUT',
        '/v1/profiles/small',
        {
          description: 'tiny',
          settings: { limits: { memoryBytes: 64 * MiB }, restart: { policy: 'always', most: 0 } },
        },
      ],
    ],
    [
      ['profile', 'set', 'small', 'cpu=none', '--rm-device', 'data', '--device', 'kvm,type=char,source=/dev/kvm'],
      [
        'POST',
        '/v1/profiles/small',
        {
          settings: { limits: { cpuMilli: null }, devices: { data: null, kvm: { type: 'char', source: '/dev/kvm' } } },
        },
      ],
    ],
    [
      ['profile', 'assign', 'web-1', 'small', 'large'],
      ['POST', '/v1/containers/web-1/set', { profiles: ['small', 'large'] }],
    ],
    [
      ['profile', 'assign', 'web-1'],
      ['POST', '/v1/containers/web-1/set', { profiles: [] }],
    ],
    [
      ['profile', 'rm', 'small'],
      ['DELETE', '/v1/profiles/small', null],
    ],
    [
      ['launch', 'db', '--no-wait', '--profile', 'small', '--profile', 'large', '--memory', '8MiB'],
      ['POST', '/v1/containers', { name: 'db', profiles: ['small', 'large'], memoryBytes: 8 * MiB }],
    ],
  ]
  for (const [words, write] of table) {
    const ran = await cluster.drover(words)
    t.equal(ran.exitCode, 0, `${words.join(' ')}: ${ran.stderr}`)
    t.same(cluster.writes.at(-1), write, words.join(' '))
  }
  const wrong = await cluster.drover(['profile', 'set', 'small', 'colour=red'])
  t.match(wrong.stderr, /colour/)
  t.equal(cluster.writes.length, table.length)
})

t.test('copy takes all of a profile; rename gives its containers the new one before the old one goes', async (t) => {
  const cluster = await fakeCluster(t)
  const settings = { limits: { pids: 7 } }
  cluster.profiles = [{ name: 'small', description: 'tiny', settings, revision: 1 }]
  const [web] = cluster.containers
  cluster.containers[0] = container('web-1', { spec: { ...web!.spec, profiles: ['base', 'small'] } })
  t.equal((await cluster.drover(['profile', 'copy', 'small', 'tiny'])).exitCode, 0)
  const made = ['PUT', '/v1/profiles/tiny', { description: 'tiny', settings }] as const
  t.same(cluster.writes, [made])
  cluster.writes = []
  t.equal((await cluster.drover(['profile', 'rename', 'small', 'tiny'])).exitCode, 0)
  t.same(cluster.writes, [
    made,
    ['POST', '/v1/containers/web-1/set', { profiles: ['base', 'tiny'] }],
    ['DELETE', '/v1/profiles/small', null],
  ])
  cluster.profiles.push({ name: 'tiny', description: '', settings: {}, revision: 2 })
  const taken = await cluster.drover(['profile', 'rename', 'small', 'tiny'])
  t.equal(taken.exitCode, 1)
  t.match(taken.stderr, /there is another one named tiny/)
})

t.test('info --expanded: each setting with the profile that it comes from', async (t) => {
  const profile = (name: string, settings: Profile['settings']): Profile => ({
    name,
    description: '',
    settings,
    revision: 1,
  })
  const profiles = [
    profile('one', { limits: { pids: 1, cpuWeight: 5 }, security: { nesting: true } }),
    profile('two', { limits: { pids: 2 } }),
  ]
  const web = container('web')
  const spec = {
    ...web.spec,
    profiles: ['one', 'two'],
    own: { limits: { cpuWeight: 9 } },
    limits: { pids: 2, cpuWeight: 9, ioWeight: null },
    security: { nesting: true },
  }
  const from = Object.fromEntries(expandedSettings({ ...web, spec }, profiles).map((each) => [each.key, each.from]))
  t.match(from, {
    'limits.pids': 'two',
    'limits.cpuWeight': 'container',
    'security.nesting': 'one',
    'requests.pids': 'usual',
  })
  t.notOk('limits.ioWeight' in from)
})

// Several launches in one call: planned together, each with an outcome of its own.

import type { Container, LaunchOutcome } from '@drover/protocol'
import t, { type Test } from 'tap'
import { apiFixture } from './support/api-fixture.ts'

const capacity = { cpuMilli: 8000, memoryBytes: 10 * 2 ** 30, diskBytes: 2 ** 40, pids: 100_000 }
const gib = (size: number) => ({ memoryBytes: size * 2 ** 30, cpuMilli: 1, diskBytes: 0, makeRoom: false })

async function cluster(t: Test) {
  const { call } = await apiFixture(
    t,
    ['a', 'b'].map((name) => ({ name, capacity })),
  )
  const launches = (list: unknown[], key: string) =>
    call<LaunchOutcome[]>('POST', '/v1/launches', { body: { launches: list }, headers: { 'idempotency-key': key } })
  const where = async () => {
    const { body } = await call<Container[]>('GET', '/v1/containers')
    return Object.fromEntries(body.map(({ name, host }) => [name, host]))
  }
  return { call, launches, where }
}

/** Sixes and fours fill two hosts of ten; asked for in this order, the fours would share one, and one six fit nowhere. */
const sizes = { 'four-1': 4, 'four-2': 4, 'six-1': 6, 'six-2': 6 }
const wanted = Object.entries(sizes).map(([name, size]) => ({ name, ...gib(size) }))

t.test('planned together all have room; one after the other they would not', async (t) => {
  const single = await cluster(t)
  const codes = []
  for (const body of wanted) codes.push((await single.call('POST', '/v1/containers', { body })).status)
  t.strictSame(codes, [202, 202, 202, 409], 'one by one the last is refused')

  const { launches, where } = await cluster(t)
  const { status, body } = await launches(wanted, 'all')
  t.equal(status, 202)
  t.strictSame(
    body.map(({ name, error }) => [name, error]),
    wanted.map(({ name }) => [name, null]),
    'in the order asked',
  )
  const at = await where()
  t.not(at['six-1'], at['six-2'])
  t.not(at['four-1'], at['four-2'])

  const again = await launches(wanted, 'all')
  t.strictSame(
    again.body.map(({ operation }) => operation?.id),
    body.map(({ operation }) => operation?.id),
    'the same key is the same launches',
  )
})

t.test('one that is refused says why, and doesn’t stop the others', async (t) => {
  const { launches, where } = await cluster(t)
  const mixed = [
    { name: 'huge', ...gib(64) },
    { name: 'web', ...gib(1) },
    { name: 'other', image: 'none', ...gib(1) },
    { name: 'web', ...gib(1) },
  ]
  const { body } = await launches(mixed, 'mixed')
  t.match(body, [
    { name: 'huge', operation: null, error: { code: 'NO_CAPACITY' } },
    { name: 'web', operation: { kind: 'launch' }, error: null },
    { name: 'other', operation: null, error: { code: 'IMAGE_NOT_FOUND' } },
    { name: 'web', operation: null, error: { code: 'NAME_TAKEN' } },
  ])
  t.strictSame(Object.keys(await where()), ['web'])
})

t.test('a plan of many keeps to quotas and groups', async (t) => {
  const { call, launches, where } = await cluster(t)
  await call('POST', '/v1/policy', { body: { projects: { blue: { containers: 3 } } } })
  const group = { name: 'apart', kind: 'spread', strict: true, topology: 'host' } as const
  const two = ['one', 'two', 'three'].map((name) => ({ name, ...gib(1), scheduling: { group, project: 'blue' } }))
  const { body } = await launches(two, 'group')
  t.equal(body.filter(({ operation }) => operation !== null).length, 2, 'two hosts, two members')
  const at = await where()
  t.not(at.one, at.two)
  const over = await launches(
    ['x', 'y'].map((name) => ({ name, ...gib(1), scheduling: { project: 'blue' } })),
    'quota',
  )
  t.equal(over.body.filter(({ operation }) => operation !== null).length, 1)
})

t.test('bad input is refused, with the field', async (t) => {
  const { launches } = await cluster(t)
  for (const list of [[], [{ name: 'Not a name' }], [{ colour: 'red' }]]) {
    t.match(await launches(list, JSON.stringify(list)), { status: 400, body: { error: { message: /launches/ } } })
  }
})

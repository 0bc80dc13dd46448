// Volumes on their host: made once and never in place of one that is missing, along on a move, and gone only by the controller's word.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Assignment } from '@drover/protocol'
import t from 'tap'
import { engineDevices } from '../src/reconcile/engine-devices.ts'
import { configured, engineLimits } from '../src/reconcile/engine-limits.ts'
import { Volumes } from '../src/volumes/volumes.ts'
import { assignmentFor, type TestHost, withoutNats } from './harness.ts'
import { type Move, runningOnA, until } from './moving.ts'

const device = { type: 'volume', volume: 'data', id: 'v5', path: '/data' } as const
const having = (copy: number, fresh = false): Pick<Assignment, 'spec' | 'volumes'> => {
  const { spec } = assignmentFor('c1', 'sha256:1')
  return { spec: { ...spec, devices: { d: device } }, volumes: { v5: { copy, fresh } } }
}
const assigned = (copy: number, fresh = false): Assignment => ({
  ...assignmentFor('c1', 'sha256:1'),
  revision: 1,
  ...having(copy, fresh),
})

t.test('a fresh one is made for the container’s root; a missing one is an error, not an empty directory', async (t) => {
  const directory = t.testdir()
  const volumes = new Volumes(directory)
  t.throws(() => volumes.require(assigned(7)), {
    code: 'VOLUME_NOT_FOUND',
    message: /volume data of .*v5\.7 is missing/,
  })
  volumes.require(assigned(7, true))
  t.equal(statSync(join(directory, 'volumes/v5.7')).mode & 0o7777, 0o755)
  t.equal(statSync(join(directory, 'volumes')).mode & 0o7777, 0o700, 'nobody else of the host comes near')
  writeFileSync(join(directory, 'volumes/v5.7/file'), 'kept')
  volumes.require(assigned(7, true))
  t.same(new Volumes(directory).all(), [{ id: 'v5', copy: 7 }], 'the next agent knows it')
  t.equal(readFileSync(join(directory, 'volumes/v5.7/file'), 'utf8'), 'kept')
})

t.test('while another container here has it still, it is given to nobody', async (t) => {
  const volumes = new Volumes(t.testdir())
  volumes.require(assigned(7, true))
  const having = (container: string) =>
    [{ container, name: 'other', devices: engineDevices(assigned(7), volumes.root) }] as never
  t.throws(() => volumes.require(assigned(7), having('c2')), { code: 'VOLUME_IN_USE', message: /other has it still/ })
  volumes.require(assigned(7), having('c1'))
})

t.test('only the copy that is named goes, and never one of an assignment', async (t) => {
  const directory = t.testdir()
  const volumes = new Volumes(directory)
  for (const copy of [7, 9]) volumes.require(assigned(copy, true))
  volumes.obey(
    [
      { id: 'v5', copy: 7 },
      { id: 'v5', copy: 9 },
      { id: 'v6', copy: 1 },
    ],
    [assigned(9)],
  )
  t.same(volumes.all(), [{ id: 'v5', copy: 9 }])
  t.notOk(existsSync(join(directory, 'volumes/v5.7')))
  await volumes.receive({ id: 'v5', copy: 9 })
  t.same(readdirSync(join(directory, 'volumes/v5.9')), [], 'what arrives begins empty')
  mkdirSync(join(directory, 'volumes/.gone-1-1'))
  t.same(new Volumes(directory).all(), [{ id: 'v5', copy: 9 }])
})

t.test('the engine has it as a directory of this host, and only another copy or place is a change', async (t) => {
  const before = assigned(7, true)
  const devices = engineDevices(before, '/here')
  t.same(devices, { d: { type: 'volume', path: '/data', source: '/here/v5.7' } })
  const { name, spec } = before
  const engine = { name, devices, limits: engineLimits(spec) } as unknown as Parameters<typeof configured>[0]
  t.ok(configured(engine, before))
  t.ok(configured(engine, assigned(7)), 'made since')
  t.notOk(configured(engine, assigned(8)))
  const moved = { ...device, path: '/other' }
  t.notOk(configured(engine, { ...before, spec: { ...spec, devices: { d: moved } } }))
})

t.test('volumes of a container that moves', { skip: withoutNats }, async (t) => {
  const place = (host: TestHost, copy: number) => join(host.config.dataDirectory, 'volumes', `v5.${copy}`)

  /** c1 on a has volume v5 as copy 5; on b it is to be 9. */
  async function withVolume(test: typeof t, mode: 'live' | 'cold' = 'live'): Promise<Move> {
    const move = await runningOnA(test, mode)
    const { cluster } = move
    const { revision: _revision, ...base } = cluster.assigned('a', 'c1')
    const spec = { ...base.spec, devices: { d: device } }
    cluster.assign('a', { ...base, spec, volumes: { v5: { copy: 5, fresh: true } } })
    await cluster.until('a has the volume', () => cluster.report('a')?.volumes?.length === 1)
    const phase: Move['phase'] = (name) => {
      const migration = {
        operation: move.operation,
        phase: name,
        mode,
        source: cluster.peer('a'),
        destination: cluster.peer('b'),
      }
      const sides = [
        ['b', { role: 'destination', epoch: 2, volumes: { v5: { copy: 9, fresh: false } } }],
        ['a', { role: 'source', volumes: { v5: { copy: 5, fresh: false } } }],
      ] as const
      for (const [host, side] of sides) cluster.assign(host, { ...base, spec, ...side, migration })
    }
    return { ...move, phase }
  }

  for (const mode of ['live', 'cold'] as const) {
    await t.test(
      `${mode}: what is in it is there, with what changed last; the other copy goes by a word`,
      async (t) => {
        const move = await withVolume(t as never, mode)
        const { cluster, a, b, phase } = move
        writeFileSync(join(place(a, 5), 'early'), 'early')
        writeFileSync(join(place(a, 5), 'gone'), 'gone')
        phase('preparing')
        await until(move, 'both prepared', ['a', 'prepared'], ['b', 'prepared'])
        phase('precopying')
        await until(move, 'both precopied', ['a', 'precopied'], ['b', 'precopied'])
        writeFileSync(join(place(a, 5), 'late'), 'late')
        rmSync(join(place(a, 5), 'gone'))
        phase('switching')
        await until(move, 'switched and restored', ['a', 'switched'], ['b', 'restored'])
        phase('committed')
        await until(move, 'released and cleaned', ['a', 'cleaned'], ['b', 'released'])
        t.same(readdirSync(place(b, 9)).sort(), ['early', 'late'])
        t.equal(readFileSync(join(place(b, 9), 'late'), 'utf8'), 'late')
        t.ok(existsSync(place(a, 5)), 'nothing but a word of the controller removes one')
        cluster.publish('a', { ...batch(cluster), dropVolumes: [{ id: 'v5', copy: 5 }] })
        await cluster.until('a has none', () => cluster.report('a')?.volumes?.length === 0)
        t.notOk(existsSync(place(a, 5)))
      },
    )
  }

  await t.test('aborted: it is on the source as it was', async (t) => {
    const move = await withVolume(t as never)
    const { a, b, phase } = move
    writeFileSync(join(place(a, 5), 'file'), 'content')
    phase('preparing')
    await until(move, 'both prepared', ['a', 'prepared'], ['b', 'prepared'])
    phase('precopying')
    await until(move, 'both precopied', ['a', 'precopied'], ['b', 'precopied'])
    t.equal(readFileSync(join(place(b, 9), 'file'), 'utf8'), 'content')
    phase('aborted')
    await until(move, 'both cleaned', ['a', 'cleaned'], ['b', 'cleaned'])
    t.equal(a.engineState('c1'), 'running')
    t.equal(readFileSync(join(place(a, 5), 'file'), 'utf8'), 'content')
  })
})

const batch = (cluster: Move['cluster']) => ({
  term: cluster.term,
  index: ++cluster.index,
  complete: true,
  imageTasks: [],
  assignments: [],
})

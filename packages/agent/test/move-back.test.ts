// A container that comes back to a host that it was on before: what is there isn't sent, and the layer is as it was all the same.

import { randomBytes } from 'node:crypto'
import {
  closeSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import type { MigrationPhase } from '@drover/protocol'
import t from 'tap'
import { describe } from './described-layer.ts'
import { withoutNats } from './harness.ts'
import { type Move, operation, runningOnA, until, upToRestored } from './moving.ts'

/** The same container, from b to a. */
function theWayBack({ cluster, a, b }: Move): Move {
  const { role: _, ...base } = cluster.assigned('a', 'c1')
  const there = 'op-2'
  const phase = (name: MigrationPhase) => {
    const sides = { source: cluster.peer('b'), destination: cluster.peer('a') }
    const migration = { operation: there, phase: name, mode: 'live' as const, ...sides }
    cluster.assign('a', { ...base, role: 'destination', epoch: 3, migration })
    cluster.assign('b', { ...base, role: 'source', epoch: 2, migration })
  }
  return { operation: there, cluster, a, b, phase }
}

async function backToRestored(back: Move): Promise<void> {
  const both = (name: string, from: string, to: string) => until(back, name, ['b', from], ['a', to])
  back.phase('preparing')
  await both('both prepared', 'prepared', 'prepared')
  back.phase('precopying')
  await both('both precopied', 'precopied', 'precopied')
  back.phase('switching')
  await both('switched and restored', 'switched', 'restored')
}

const mib = 1 << 20

function fillLayer(upper: string): void {
  mkdirSync(join(upper, 'var', 'lib', 'deep'), { recursive: true })
  writeFileSync(join(upper, 'large'), randomBytes(6 * mib))
  writeFileSync(join(upper, 'var', 'lib', 'whole'), randomBytes(2 * mib))
  writeFileSync(join(upper, 'var', 'lib', 'ends with space '), randomBytes(1000))
  for (const name of ['one', 'two', 'three']) writeFileSync(join(upper, 'var', 'lib', 'deep', name), name)
  linkSync(join(upper, 'var', 'lib', 'deep', 'one'), join(upper, 'other name'))
  symlinkSync('large', join(upper, 'link'))
}

function changeLayer(upper: string): void {
  const large = openSync(join(upper, 'large'), 'r+')
  writeSync(large, randomBytes(100_000), 0, 100_000, 3 * mib)
  closeSync(large)
  rmSync(join(upper, 'var', 'lib', 'deep', 'two'))
  mkdirSync(join(upper, 'var', 'lib', 'deep', 'two'))
  writeFileSync(join(upper, 'var', 'lib', 'deep', 'two', 'inside'), 'a directory now')
  writeFileSync(join(upper, 'var', 'lib', 'deep', 'three'), 'THREE')
  rmSync(join(upper, 'link'))
  writeFileSync(join(upper, 'new'), 'new')
}

t.test('a move back', { skip: withoutNats }, async (t) => {
  await t.test('back to where it was: only what has changed since is sent', async (t) => {
    const move = await runningOnA(t)
    const { cluster, a, b } = move
    const upperOnA = a.engine.containers.upper('c1')
    fillLayer(upperOnA)
    await upToRestored(move)
    move.phase('committed')
    await until(move, 'released and cleaned', ['a', 'cleaned'], ['b', 'released'])
    t.ok((cluster.step('a', operation)?.figures.sent_bytes ?? 0) > 8 * mib, 'all of it, the first time')
    const upper = b.engine.containers.upper('c1')
    changeLayer(upper)
    const state = describe(upper)

    const back = theWayBack(move)
    await backToRestored(back)
    back.phase('committed')
    await until(back, 'back again', ['b', 'cleaned'], ['a', 'released'])
    t.equal(a.engineState('c1'), 'running')
    t.strictSame(describe(a.engine.containers.upper('c1')), state)
    const figures = cluster.step('b', back.operation)?.figures ?? {}
    t.ok((figures.sent_bytes ?? Infinity) < 2 * mib, `${figures.sent_bytes} bytes were sent`)
    t.ok((figures.reused_bytes ?? 0) > 7 * mib, `${figures.reused_bytes} bytes were there`)
    t.same(readdirSync(join(a.config.dataDirectory, 'leftovers')), [], 'it is the layer now')
  })

  await t.test('back to where it was: a leftover that has gone wrong is not used', async (t) => {
    const move = await runningOnA(t)
    const { a, b } = move
    fillLayer(a.engine.containers.upper('c1'))
    await upToRestored(move)
    move.phase('committed')
    await until(move, 'released and cleaned', ['a', 'cleaned'], ['b', 'released'])
    const left = join(a.config.dataDirectory, 'leftovers', 'c1', 'upper')
    writeFileSync(join(left, 'large'), 'not what it was')
    mkdirSync(join(left, 'stray', 'deep'), { recursive: true })
    rmSync(join(left, 'var'), { recursive: true })
    symlinkSync('/etc', join(left, 'var'))
    const state = describe(b.engine.containers.upper('c1'))
    const back = theWayBack(move)
    await backToRestored(back)
    back.phase('committed')
    await until(back, 'back again', ['b', 'cleaned'], ['a', 'released'])
    t.strictSame(describe(a.engine.containers.upper('c1')), state)
  })

  await t.test('what nobody wants any more is dropped', async (t) => {
    const move = await runningOnA(t)
    const { cluster, a } = move
    fillLayer(a.engine.containers.upper('c1'))
    await upToRestored(move)
    move.phase('committed')
    await until(move, 'released and cleaned', ['a', 'cleaned'], ['b', 'released'])
    const kept = () => cluster.report('a')?.leftovers ?? []
    await cluster.until('a says what it keeps', () => kept().length === 1)
    t.match(kept()[0], { container: 'c1', bytes: Number })
    const batch = { term: 1, complete: true, assignments: [], imageTasks: [] }
    const tell = (leftovers: object) => cluster.publish('a', { ...batch, index: ++cluster.index, leftovers })
    tell({ mostBytes: null, drop: ['c2'] })
    tell({ mostBytes: null, drop: ['c1'] })
    await cluster.until('a keeps nothing', () => kept().length === 0)
  })
})

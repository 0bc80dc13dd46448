// Larger files that a container writes while it moves: what changed of them goes in pieces, before the freeze and after it, whatever becomes of
// the files meanwhile.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { describe } from './described-layer.ts'
import { withoutNats } from './harness.ts'
import { type Move, operation, runningOnA, until } from './moving.ts'

const mib = 1 << 20
const waitMs = 90_000

/** Of random bytes, so that a piece in the wrong place shows. */
function overwrite(path: string, at: number, bytes = 100_000): void {
  const file = openSync(path, 'r+')
  writeSync(file, randomBytes(bytes), 0, bytes, at)
  closeSync(file)
}

function fillLayer(upper: string): void {
  mkdirSync(join(upper, 'data', 'old'), { recursive: true })
  for (const name of ['heap', 'grows', 'shrinks', 'log-1', 'linked', 'goes', 'kind'])
    writeFileSync(join(upper, 'data', name), randomBytes(2 * mib))
  writeFileSync(join(upper, 'data', 'holes'), '')
  truncateSync(join(upper, 'data', 'holes'), 4 * mib)
  overwrite(join(upper, 'data', 'holes'), 3 * mib)
}

/** Between the archive and the freeze. */
function whileItRuns(upper: string): void {
  const at = (name: string) => join(upper, 'data', name)
  overwrite(at('heap'), mib)
  overwrite(at('grows'), 2 * mib, 700_000)
  truncateSync(at('shrinks'), mib + 5)
  overwrite(at('holes'), mib)
  overwrite(at('linked'), 0)
  overwrite(at('goes'), 0)
  overwrite(at('kind'), 0)
  renameSync(at('log-1'), at('log-2'))
  writeFileSync(at('made'), randomBytes(3 * mib), { mode: 0o640 })
  writeFileSync(at('made and gone'), randomBytes(2 * mib))
  writeFileSync(at('made and a link'), randomBytes(2 * mib))
  mkdirSync(at('new'))
  writeFileSync(join(at('new'), 'deep'), randomBytes(mib))
}

/** Between the last comparison and the freeze. */
function atLast(upper: string): void {
  const at = (name: string) => join(upper, 'data', name)
  for (const name of ['heap', 'made', 'log-2', 'holes']) overwrite(at(name), 300_000, 1000)
  overwrite(at('grows'), 3 * mib, 10_000)
  linkSync(at('linked'), at('other name'))
  for (const name of ['goes', 'kind', 'made and gone', 'made and a link']) rmSync(at(name))
  mkdirSync(at('kind'))
  writeFileSync(join(at('kind'), 'inside'), 'a directory now')
  symlinkSync('heap', at('made and a link'))
}

async function holdAt(move: Move, point: string, act: () => void): Promise<void> {
  const reached = join(move.a.faultDirectory, `${point}.reached`)
  for (let waited = 0; !existsSync(reached); waited += 5) {
    assert.ok(waited < waitMs, `waited for ${point}`)
    await pause(5)
  }
  act()
  rmSync(reached)
}

t.test('larger files that change during a move', { skip: withoutNats }, async (t) => {
  const move = await runningOnA(t)
  const { cluster, a, b } = move
  const upper = a.engine.containers.upper('c1')
  fillLayer(upper)
  writeFileSync(join(a.faultDirectory, 'source.disk-sent'), '')
  move.phase('preparing')
  await until(move, 'both prepared', ['a', 'prepared'], ['b', 'prepared'])
  move.phase('precopying')
  await holdAt(move, 'source.disk-sent', () => whileItRuns(upper))
  await until(move, 'both precopied', ['a', 'precopied'], ['b', 'precopied'])
  const before = cluster.step('a', operation)?.figures ?? {}
  const there = b.engine.containers.upper('c1')
  t.ok((before.disk_ahead_bytes ?? 0) > 6 * mib, `${before.disk_ahead_bytes} bytes went ahead`)
  t.equal(lstatSync(join(there, 'data', 'made')).mode & 0o777, 0o640, 'what is new is there before the freeze')
  atLast(upper)
  move.phase('switching')
  await until(move, 'switched and restored', ['a', 'switched'], ['b', 'restored'])
  t.strictSame(describe(there), describe(upper))
  const figures = cluster.step('a', operation)?.figures ?? {}
  // The linked one goes whole, and what is in a new directory.
  t.ok((figures.switch_bytes ?? Infinity) < 6 * mib, `${figures.switch_bytes} bytes were sent after the freeze`)
  t.ok((figures.patch_bytes ?? 0) > 0 && (figures.patch_bytes ?? 0) < mib, `${figures.patch_bytes} bytes in pieces`)
  move.phase('committed')
  await until(move, 'released and cleaned', ['a', 'cleaned'], ['b', 'released'])
})

// What is kept of containers that have left: only what is wanted, whole and recorded, within bounds, and gone when it is taken.

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { chooseDropped, mostLeftovers } from '../src/leftovers/choose-dropped.ts'
import { Leftovers, type LeftoversOptions } from '../src/leftovers/leftovers.ts'

const mib = 1 << 20
const day = 24 * 3600 * 1000
const large = { sizeBytes: 1000 * mib, freeBytes: 500 * mib }

/** As an engine would: the layer has one file. */
function leave(kept: Leftovers, container: string, bytes: number): boolean {
  const place = kept.expect(container, bytes)
  if (place !== null) {
    mkdirSync(place)
    writeFileSync(join(place, 'file'), container)
  }
  kept.settle(container)
  return place !== null
}

function leftovers(test: Test, options: Partial<LeftoversOptions> = {}, directory = test.testdir()): Leftovers {
  return new Leftovers(directory, { mostBytes: null, room: () => large, ...options })
}

const names = (kept: Leftovers) => kept.all().map(({ container }) => container)

t.test('leftovers: one is there until it is taken, by the layer that it becomes', async (t) => {
  const directory = t.testdir({ upper: {} })
  const kept = leftovers(t, {}, directory)
  t.equal(leave(kept, 'c1', mib), true)
  t.equal(kept.totalBytes, mib)
  t.equal(kept.take('c1', join(directory, 'upper')), true)
  t.equal(readFileSync(join(directory, 'upper', 'file'), 'utf8'), 'c1')
  t.equal(kept.has('c1'), false)
  t.equal(kept.take('c1', join(directory, 'upper')), false)
})

t.test('leftovers: one that can’t be moved into place is none any more', async (t) => {
  const directory = t.testdir({ upper: { full: '' } })
  const kept = leftovers(t, {}, directory)
  leave(kept, 'c1', mib)
  t.equal(kept.take('c1', join(directory, 'upper')), false)
  t.equal(kept.has('c1'), false)
  t.same(readdirSync(join(directory, 'upper')), ['full'])
})

t.test('leftovers: where none can be written, none is kept, and that is no error', async (t) => {
  const directory = t.testdir()
  const kept = leftovers(t, {}, directory)
  mkdirSync(join(directory, 'leftovers', 'c1', 'in the way'), { recursive: true })
  t.equal(leave(kept, 'c1', mib), false)
  t.equal(kept.has('c1'), false)
  t.equal(leave(kept, 'c1', mib), true, 'the next time it can')
})

t.test(
  'leftovers: one that is larger than all that may be kept takes nobody’s place, also when the clock was set back',
  async (t) => {
    let nowMs = 2 * day
    const kept = leftovers(t, { mostBytes: 10 * mib, now: () => nowMs })
    leave(kept, 'c1', mib)
    nowMs = day
    t.equal(leave(kept, 'c2', 11 * mib), false)
    t.same(names(kept), ['c1'])
  },
)

t.test('leftovers: little is not kept, nor anything when nothing may be', async (t) => {
  t.equal(leave(leftovers(t), 'c1', 1000), false)
  const none = t.testdir()
  t.equal(leave(leftovers(t, { mostBytes: 0 }, none), 'c1', mib), false)
  t.same(readdirSync(join(none, 'leftovers')), [])
})

t.test('leftovers: an agent that starts again has what is whole, and nothing else lies there', async (t) => {
  const directory = t.testdir()
  const before = leftovers(t, {}, directory)
  leave(before, 'c1', mib)
  before.expect('c2', mib)
  const root = join(directory, 'leftovers')
  mkdirSync(join(root, 'c3', 'upper'), { recursive: true })
  mkdirSync(join(root, '.gone-1-1'))
  writeFileSync(join(root, 'stray'), '')
  const after = leftovers(t, {}, directory)
  t.same(names(after), ['c1'])
  t.same(
    readdirSync(root).filter((name) => !name.startsWith('.')),
    ['c1'],
  )
  t.equal(after.totalBytes, mib)
})

t.test('leftovers: the oldest go when there is too much, or the disk runs short', async (t) => {
  let nowMs = 0
  let freeBytes = large.freeBytes
  const room = () => ({ ...large, freeBytes })
  const kept = leftovers(t, { now: () => nowMs++, room })
  for (const container of ['c1', 'c2', 'c3']) leave(kept, container, 40 * mib)
  t.same(names(kept), ['c2', 'c3'], 'a tenth of the file system is kept')
  freeBytes = 90 * mib
  kept.trim()
  t.same(names(kept), ['c3'], 'until a tenth is free again')
  nowMs += 8 * day
  kept.trim()
  t.same(names(kept), [])
})

t.test('leftovers: one larger than all that may be kept takes nobody’s place', async (t) => {
  const directory = t.testdir()
  const kept = leftovers(t, { mostBytes: 10 * mib }, directory)
  leave(kept, 'c1', mib)
  t.equal(leave(kept, 'c2', 11 * mib), false)
  t.same(names(kept), ['c1'])
  t.equal(existsSync(join(directory, 'leftovers', 'c2')), false)
})

t.test('leftovers: no more than so many', async (t) => {
  const all = Array.from({ length: mostLeftovers + 2 }, (_, index) => ({
    container: `c${index}`,
    bytes: 1,
    keptAtMs: index,
  }))
  const bounds = { ...large, mostBytes: mib, nowMs: 1000, arrivingBytes: 0 }
  t.same(chooseDropped(all, bounds), ['c0', 'c1'])
})

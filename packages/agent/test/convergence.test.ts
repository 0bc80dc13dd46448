// When sending memory ahead is enough: tables of rounds and what follows from them.

import t from 'tap'
import { estimateBlackout, type Round, verdictOf, type Wishes } from '../src/migration/convergence.ts'

const mebibyte = 1 << 20
/** Rounds of so many MiB at 100 MiB/s. */
const rounds = (...sizes: number[]): Round[] =>
  sizes.map((size) => ({ bytes: size * mebibyte, ms: size * 10, workMs: size * 10 }))
const wishes = (maxBlackoutMs: number | null): Wishes => ({ maxBlackoutMs, fixedMs: 60, alwaysBytes: 0 })
const verdict = (budget: number | null, ...sizes: number[]) => {
  const given = rounds(...sizes)
  return verdictOf(given, estimateBlackout(given, wishes(budget)), wishes(budget))
}

t.test('convergence: with no budget, rounds go on while they shrink', async (t) => {
  t.equal(verdict(null, 200), 'another', 'the first round tells nothing about writing')
  t.equal(verdict(null, 200, 40), 'another')
  t.equal(verdict(null, 200, 40, 38), 'freeze', 'it writes as fast as it is copied')
  t.equal(verdict(null, 200, 0.5), 'freeze', 'little is left')
  t.equal(verdict(null, ...Array.from({ length: 8 }, (_, index) => 200 * 0.6 ** index)), 'freeze', 'not for ever')
})

t.test('convergence: with a budget, rounds end as soon as the rest fits', async (t) => {
  t.equal(verdict(1000, 200), 'another')
  t.equal(verdict(1000, 200, 40), 'freeze', 'what it writes in that time is sent within the budget')
  t.equal(verdict(100, 200, 40), 'another')
})

t.test('convergence: a budget that is out of reach is given up after two rounds that do not shrink', async (t) => {
  t.equal(verdict(100, 200, 190), 'another', 'one could be a burst')
  t.equal(verdict(100, 200, 190, 200), 'too-long')
  t.equal(verdict(50, 0.2), 'too-long', 'less than an empty dump takes')
  t.equal(verdict(70, 0.2), 'freeze')
  t.equal(verdict(100, ...Array.from({ length: 20 }, (_, index) => 2000 * 0.69 ** (index / 9))), 'too-long')
})

t.test('convergence: the estimate is of what is written between the last round and the freeze', async (t) => {
  const [first, second] = rounds(200, 40) as [Round, Round]
  const estimate = estimateBlackout([first, second], wishes(null))
  t.equal(estimate.bytesPerS, 100 * mebibyte)
  t.equal(estimate.dirtyBytesPerS, 20 * mebibyte, '40 MiB in the 2 s of the first round')
  t.ok(estimate.restBytes > 8 * mebibyte && estimate.restBytes < 10 * mebibyte, `${estimate.restBytes} bytes`)
  t.ok(estimate.blackoutMs > 60 + 80 && estimate.blackoutMs < 60 + 130, `${estimate.blackoutMs} ms`)
  const held = estimateBlackout(
    [
      { ...first, workMs: first.ms / 4 },
      { ...second, workMs: second.ms / 4 },
    ],
    wishes(null),
  )
  t.equal(held.bytesPerS, 400 * mebibyte, 'waiting for a bandwidth limit is not the way’s pace')
  t.match(estimateBlackout([], { ...wishes(null), alwaysBytes: 100 * mebibyte }), {
    bytesPerS: null,
    dirtyBytesPerS: null,
    restBytes: 100 * mebibyte,
  })
})

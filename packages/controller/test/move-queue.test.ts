// Moves in line: who goes, and who waits for what.

import type { MigrationPhase, Operation } from '@drover/protocol'
import t from 'tap'
import { moveQueue } from '../src/core/move-queue.ts'

let moment = 0
/** `a>b` waits, `a>b preparing` is under way; the id is the text with a number. */
function moves(...words: string[]): Operation[] {
  return words.map((word, index) => {
    const [way, phase = 'planned'] = word.split(' ') as [string, MigrationPhase | undefined]
    const [source, destination] = way.split('>') as [string, string]
    return {
      id: `${index + 1}`,
      state: 'running',
      createdAtMs: ++moment,
      migration: { source, destination, phase },
    } as Operation
  })
}
const going = (operations: Operation[], limits = {}) => [...moveQueue(operations, limits).admitted].sort()

t.test('moves in line: within the limits all go', async (t) => {
  t.strictSame(going(moves('a>b', 'a>c', 'b>a')), ['1', '2', '3'])
})

t.test(
  'moves in line: a host and a link take so many at once, those under way included, until their source is clean',
  async (t) => {
    t.strictSame(going(moves('a>b', 'a>b', 'c>a', 'a>d'), { perHost: 2 }), ['1', '3'])
    t.strictSame(going(moves('a>b preparing', 'a>b', 'a>c'), { perLink: 1 }), ['3'])
    t.strictSame(going(moves('a>b cleaning', 'a>b'), { perLink: 1 }), [])
    t.strictSame(going(moves('a>b aborted', 'b>a'), { perLink: 1 }), [], 'both ways are one link')
    t.strictSame(going(moves('a>b done', 'a>b'), { perLink: 1 }), ['2'])
  },
)

t.test('moves in line: many on one link do not keep those of another waiting', async (t) => {
  const crowd = Array.from({ length: 20 }, () => 'a>b')
  t.strictSame(going(moves(...crowd, 'a>c'), { perHost: 2 }), ['1', '21'])
  const { positions } = moveQueue(moves(...crowd, 'a>c', 'd>c'), { perHost: 2, perLink: 1 })
  t.equal(positions.size, 19, 'the crowd but its first')
  t.equal(positions.get('2'), 1)
})

t.test('moves in line: what the first in line waits for is not given to those behind it', async (t) => {
  // 3 waits for b; 4 could take the place on c that 3 needs as well.
  const operations = moves('a>b preparing', 'd>b preparing', 'b>c', 'd>c')
  t.strictSame(going(operations, { perHost: 2 }), ['4'])
  t.strictSame(going(operations, { perHost: 2, perLink: 1 }), ['4'])
  const tight = moves('a>b preparing', 'b>c', 'd>c')
  t.strictSame(going(tight, { perHost: 1 }), [])
  t.same(
    [...moveQueue(tight, { perHost: 1 }).positions],
    [
      ['2', 1],
      ['3', 2],
    ],
  )
})

t.test('moves in line: whatever comes in, every move goes in the end, and never more than allowed', async (t) => {
  const hosts = ['a', 'b', 'c', 'd']
  let seed = 7
  const draw = (most: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
    return Math.floor((seed / 2 ** 31) * most)
  }
  const all: Operation[] = []
  const waited = new Map<string, number>()
  for (let turn = 0; turn < 600; turn++) {
    if (turn < 400) {
      const source = draw(4)
      const way = `${hosts[source]}>${hosts[(source + 1 + draw(3)) % 4]}`
      const [move] = moves(way) as [Operation]
      all.push({ ...move, id: String(all.length).padStart(4, '0') })
    }
    const { admitted } = moveQueue(all, { perHost: 3, perLink: 2 })
    for (const each of all) {
      if (each.migration?.phase === 'planned') waited.set(each.id, (waited.get(each.id) ?? 0) + 1)
      if (admitted.has(each.id)) each.migration = { ...each.migration!, phase: 'preparing' }
    }
    const busy = all.filter(({ migration }) => migration?.phase === 'preparing')
    for (const host of hosts) {
      const here = busy.filter(({ migration }) => [migration?.source, migration?.destination].includes(host)).length
      if (here > 3) t.fail(`turn ${turn}: ${here} moves at ${host}`)
    }
    for (const each of busy) if (draw(2) === 0) each.migration = { ...each.migration!, phase: 'done' }
  }
  t.strictSame(
    all.filter(({ migration }) => migration?.phase === 'planned'),
    [],
  )
  t.ok(Math.max(...waited.values()) < 200, `the longest waited ${Math.max(...waited.values())} turns`)
})

// Who is told of a step at once, because a container stands still or somebody waits, and what has time.

import t from 'tap'
import { restWithinMs, type StepSurroundings, tellWithinMs } from '../src/migration/step-news.ts'

const small: StepSurroundings = { underWay: 6, cores: 2, othersGoElsewhere: false, precopiedToAtOnce: false }

t.test('what a container stands still for is told at once, however much is under way', (t) => {
  for (const underWay of [1, 20])
    for (const step of ['restored', 'failed'] as const)
      t.equal(tellWithinMs(step, { ...small, underWay, precopiedToAtOnce: true }), 0, `${step} of ${underWay}`)
  t.end()
})

t.test('that all is sent is told at once when another could be frozen upon it', (t) => {
  const table: [string, Partial<StepSurroundings>, boolean][] = [
    ['the next goes to the same small host, which restores one at a time', {}, false],
    ['the next goes elsewhere', { othersGoElsewhere: true }, true],
    ['larger hosts restore several at once', { cores: 4 }, true],
    ['there is no other', { underWay: 1, cores: 8 }, false],
  ]
  for (const [name, more, atOnce] of table) t.equal(tellWithinMs('switched', { ...small, ...more }) === 0, atOnce, name)
  t.end()
})

t.test('the end of a move is waited for by whoever asked for it, not among many', (t) => {
  t.equal(tellWithinMs('released', { ...small, underWay: 1 }), 0)
  t.not(tellWithinMs('released', small), 0)
  t.end()
})

t.test('the rest goes together, the more so the more is under way', (t) => {
  const alone = tellWithinMs('precopied', { ...small, underWay: 1 })
  const busy = tellWithinMs('precopied', small)
  t.ok(0 < alone && alone < busy && busy < restWithinMs)
  t.equal(tellWithinMs('prepared', small), busy)
  t.equal(tellWithinMs('prepared', { ...small, precopiedToAtOnce: true }), restWithinMs, 'nobody plans by it')
  t.end()
})

// Two values of JSON are the same exactly when their texts are, written with sorted fields.

import fc from 'fast-check'
import t from 'tap'
import { sameValue } from '../src/same-value.ts'

const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([left], [right]) => (left < right ? -1 : 1))
      .map(([key, each]) => [key, sorted(each)]),
  )
}

/** Few names and few values, so that two of them are often the same. */
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom(null, true, 0, 1, '', 'a'),
    fc.array(tie('value'), { maxLength: 2 }),
    fc.dictionary(fc.constantFrom('a', 'b', '0'), tie('value'), { maxKeys: 2 }),
  ),
}))

t.test('same value: as the texts say', async (t) => {
  fc.assert(
    fc.property(value, value, (left, right) => {
      return sameValue(left, right) === (JSON.stringify(sorted(left)) === JSON.stringify(sorted(right)))
    }),
    { numRuns: 5000 },
  )
  fc.assert(fc.property(value, (each) => sameValue(each, JSON.parse(JSON.stringify(each)))))
  t.pass('for thousands of pairs')
})

t.test('same value: fields that do not count', async (t) => {
  const but = new Set(['use'])
  t.equal(sameValue({ name: 1, use: 1 }, { use: 2, name: 1 }, but), true)
  t.equal(sameValue({ name: 1, use: 1 }, { name: 1 }, but), true)
  t.equal(sameValue({ name: { use: 1 } }, { name: { use: 2 } }, but), false, 'only those of the outermost')
  t.equal(sameValue({ name: 1, use: 1 }, { name: 2, use: 1 }, but), false)
})

// The arithmetic of the benchmarks' figures.

import t from 'tap'
import { percentile, ratiosOf } from '../src/figures.ts'

t.test('percentile: nearest rank', async (t) => {
  const values = [40, 10, 30, 20]
  t.equal(percentile(values, 0.5), 20)
  t.equal(percentile(values, 0.99), 40)
  t.equal(percentile(values, 0), 10)
  t.equal(percentile([], 0.5), 0)
})

t.test('ratios: of figures that there are, null where one could not be measured', async (t) => {
  const figures = { drover: 50, floor: 75, lxc: null, nothing: 0 }
  const ratios = {
    over_floor: ['drover', 'floor'],
    over_lxc: ['drover', 'lxc'],
    over_nothing: ['drover', 'nothing'],
    over_another: ['drover', 'another'],
  } as const
  t.strictSame(ratiosOf(figures, ratios), { over_floor: 0.67, over_lxc: null, over_nothing: null })
})

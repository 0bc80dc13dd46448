// What tells a benchmark how fast the processors were meanwhile.

import { existsSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { corePaceProgram, withCorePace } from '../src/lab/core-pace.ts'

const skip = !existsSync(corePaceProgram) && 'core-pace is not built (npm run bootstrap does, with a C compiler)'

t.test('beside a work it tells what its loop took, and gives back what the work gave', { skip }, async (t) => {
  const { result, pace } = await withCorePace(async () => {
    await pause(200)
    return 'done'
  })
  t.equal(result, 'done')
  t.ok(pace.core_loop_us_least > 0, 'a round takes time')
  t.ok(pace.core_loop_us >= pace.core_loop_us_least, 'the mean is no less than the least')
})

t.test('a work that ends at once still has one round', { skip }, async (t) => {
  const { pace } = await withCorePace(async () => {})
  t.equal(pace.core_loop_us, pace.core_loop_us_least)
})

t.test('a work that fails fails as it is', { skip }, async (t) => {
  const failure = new Error('no room')
  await t.rejects(
    withCorePace(() => Promise.reject(failure)),
    failure,
  )
})

// SharedBarrier: who shares which barrier.

import { DroverError } from '@drover/protocol'
import t from 'tap'
import { SharedBarrier } from '../src/shared-barrier.ts'

const late = () => new DroverError('TIMED_OUT', 'late')

function controlled() {
  const issued: { resolve: () => void; reject: (error: unknown) => void }[] = []
  const barrier = new SharedBarrier(() => new Promise((resolve, reject) => issued.push({ resolve, reject })))
  return { barrier, issued }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

t.test('callers of one moment share one barrier', async (t) => {
  const { barrier, issued } = controlled()
  const waits = Array.from({ length: 50 }, () => barrier.wait(10_000, late))
  await turn()
  t.equal(issued.length, 1)
  issued[0]!.resolve()
  await Promise.all(waits)
  t.equal(issued.length, 1)
})

t.test('who comes while a barrier is under way waits for the next one', async (t) => {
  const { barrier, issued } = controlled()
  const first = barrier.wait(10_000, late)
  await turn()
  let secondDone = false
  const second = barrier.wait(10_000, late).then(() => {
    secondDone = true
  })
  issued[0]!.resolve()
  await first
  await turn()
  t.equal(secondDone, false)
  t.equal(issued.length, 2)
  issued[1]!.resolve()
  await second
})

t.test('a refusal reaches all who shared it, and a deadline only the one it belongs to', async (t) => {
  const { barrier, issued } = controlled()
  const impatient = barrier.wait(1, late)
  const patient = barrier.wait(10_000, late)
  await t.rejects(impatient, { code: 'TIMED_OUT' })
  issued[0]!.reject(new DroverError('NOT_LEADER', 'no'))
  await t.rejects(patient, { code: 'NOT_LEADER' })
})

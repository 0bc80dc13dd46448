// Forecasts from samples, and the cost of a move from measured ones.

import { forecast, learnMoveModel, moveCost, percentile, usualForecastPolicy, usualMoveModel } from '@drover/scheduler'
import t from 'tap'
import { GiB, MiB } from '../cluster.ts'
import { container } from './containers.ts'

const minuteMs = 60_000
const now = 1e12
const sample = (agoMinutes: number, cpuMilli: number, memoryBytes = 0) => ({
  atMs: now - agoMinutes * minuteMs,
  cpuMilli,
  memoryBytes,
})

t.test('forecast', async (t) => {
  t.equal(forecast([], now), null, 'nothing measured')
  t.equal(forecast([sample(25 * 60, 5)], now), null, 'nothing in the window')
  t.match(forecast([sample(10, 100, 7), sample(0, 100, 7)], now), { memoryBytes: 7 })
  const mean = { ...usualForecastPolicy, caution: 0 }
  t.equal(forecast([sample(30, 90), sample(0, 0)], now, mean)?.cpuMilli, 30, 'half an hour old counts half')
  const peak = { ...usualForecastPolicy, caution: 1 }
  t.equal(forecast([sample(30, 90), sample(0, 0)], now, peak)?.cpuMilli, 90)
  t.equal(forecast([sample(30, 90), sample(0, 0)], now)?.cpuMilli, 60, 'part of the way')
  t.equal(forecast([sample(30, 0, 90), sample(0, 0, 10)], now)?.memoryBytes, 90, 'memory is planned at its peak')
  t.equal(forecast([sample(-1, 900), sample(0, 10)], now)?.cpuMilli, 10, 'what lies ahead is not known')
  const brief = { ...mean, halfLifeMs: 1e-3 }
  t.equal(forecast([sample(60, 5), sample(30, 9)], now, brief)?.cpuMilli, 9, 'vanished weights leave the newest')
})

t.test('percentile by nearest rank', async (t) => {
  t.equal(percentile([4, 1, 3, 2], 0.5), 2)
  t.equal(percentile([4, 1, 3, 2], 0.95), 4)
  t.equal(percentile([4, 1, 3, 2], 0), 1)
  t.throws(() => percentile([], 0.5))
})

t.test('the cost of a move', async (t) => {
  const idle = moveCost(container('w', 'a', { residentBytes: 0, diskBytes: 0 }), usualMoveModel)
  t.same(idle, { blackoutMs: 80, bytes: 0, durationMs: 780, dirtyBytesPerS: 0 })
  const disk = moveCost(container('w', 'a', { residentBytes: 0, diskBytes: GiB }), usualMoveModel)
  t.equal(disk.blackoutMs, 80, 'an idle disk goes ahead')
  const busy = moveCost(
    container('w', 'a', { residentBytes: 0, diskBytes: GiB, dirtyBytesPerS: 10 * MiB }),
    usualMoveModel,
  )
  t.ok(
    busy.blackoutMs > disk.blackoutMs && busy.bytes > disk.bytes,
    'what is written meanwhile goes while it is frozen',
  )
  const large = moveCost(container('w', 'a', { residentBytes: GiB, diskBytes: 0 }), usualMoveModel)
  t.ok(large.blackoutMs > 10_000, 'memory goes while it is frozen')
  const known = container('w', 'a', { residentBytes: GiB, diskBytes: 0, memoryFrozenBytes: MiB })
  const moved = moveCost(known, usualMoveModel)
  t.ok(moved.blackoutMs < 100, 'but for what its last move sent ahead')
  t.equal(moved.bytes, GiB, 'which is sent all the same')
})

t.test('the model is learnt from measured moves', async (t) => {
  const small = { bytes: 1000, durationMs: 500, blackoutMs: 60 }
  const large = { bytes: 200_000_000, durationMs: 500 + 1000, blackoutMs: 200 }
  t.same(learnMoveModel([small, large]), usualMoveModel, 'two moves say too little')
  const learnt = learnMoveModel([...Array(5).fill(small), ...Array(5).fill(large)])
  t.match(learnt, { blackoutBaseMs: 60, overheadMs: 440, bytesPerS: 200_000_000 })
})

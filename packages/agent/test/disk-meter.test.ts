// What a writable layer holds and how fast it changes, measured by walking it now and then.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { DiskMeter, recentMs } from '../src/disk-meter.ts'
import { scanManifest } from '../src/migration/disk-manifest.ts'

const minuteMs = 60_000

t.test('a layer’s bytes, and what has changed just now', async (t) => {
  const upper = t.testdir({ log: 'x'.repeat(3000), etc: { passwd: 'y'.repeat(100) } })
  let nowMs = Date.now() + 1000
  const meter = new DiskMeter({ now: () => nowMs })
  t.equal(meter.of('c1'), null, 'not before it was looked at')
  await meter.turn([{ container: 'c1', upper }])
  t.strictSame(meter.of('c1'), { diskBytes: 3100, dirtyBytesPerS: Math.round((1000 * 3100) / recentMs) })

  nowMs += 6 * minuteMs
  await meter.turn([{ container: 'c1', upper }])
  t.strictSame(meter.of('c1'), { diskBytes: 3100, dirtyBytesPerS: 52 }, 'nothing was written since: half of it is left')
  t.equal(meter.totalBytes, 3100)
  await meter.turn([])
  t.equal(meter.of('c1'), null, 'gone with its container')
})

t.test('one at a time, the most overdue first, and each less and less often', async (t) => {
  let nowMs = 1_000_000
  const walked: string[] = []
  let walkMs = 10
  const meter = new DiskMeter({
    now: () => nowMs,
    scan: async (upper) => {
      walked.push(upper)
      nowMs += walkMs
      return new Map()
    },
  })
  const all = ['a', 'b', 'c'].map((name) => ({ container: name, upper: `/${name}` }))
  for (let turn = 0; turn < 6; turn += 1) await meter.turn(all)
  t.strictSame(walked, ['/a', '/b', '/c'], 'each once at first')
  for (let second = 0; second < 30 * 60; second += 1) {
    nowMs += 1000
    await meter.turn(all)
  }
  t.equal(walked.length, 3 * 11, 'after 5, 10, 20, 40, 80 and 160 s, and then every five minutes')
  walked.length = 0
  nowMs += 5 * minuteMs
  walkMs = 60_000
  for (let turn = 0; turn < 3; turn += 1) await meter.turn(all)
  t.strictSame(walked, ['/a', '/b', '/c'])
  nowMs += 50 * minuteMs
  await meter.turn(all)
  t.equal(walked.length, 3, 'a walk of a minute is made every hundred')
})

t.test('a layer that can’t be read says nothing, and keeps what was known', async (t) => {
  const upper = join(t.testdir(), 'upper')
  mkdirSync(upper)
  writeFileSync(join(upper, 'f'), '1234')
  let nowMs = Date.now()
  let broken = false
  const meter = new DiskMeter({
    now: () => nowMs,
    scan: (path) => (broken ? Promise.reject(new Error('EIO')) : scanManifest(path)),
  })
  await meter.turn([{ container: 'c1', upper }])
  t.equal(meter.of('c1')?.diskBytes, 4)
  broken = true
  nowMs += 10 * minuteMs
  await meter.turn([{ container: 'c1', upper }])
  t.equal(meter.of('c1')?.diskBytes, 4)
})

// Sizes, shares, times: what is understood, what is refused, and how they are shown.

import t from 'tap'
import { formatAge, formatDuration, parseDuration } from '../src/output/durations.ts'
import { formatBytes, formatCpu, parseBytes, parseCount, parseCpu } from '../src/output/sizes.ts'

t.test('sizes are read as people write them', async (t) => {
  const cases: [string, number][] = [
    ['4096', 4096],
    ['64MiB', 64 * 2 ** 20],
    ['64 mib', 64 * 2 ** 20],
    ['64m', 64 * 2 ** 20],
    ['64MB', 64e6],
    ['1.5GiB', 1.5 * 2 ** 30],
    ['2T', 2 ** 41],
    ['0', 0],
  ]
  for (const [text, bytes] of cases) t.equal(parseBytes(text), bytes, text)
  for (const text of ['', 'MiB', '-1', '1e9', '12zb', '1,5GiB', '0x10', '9999999TiB']) {
    t.throws(() => parseBytes(text), { message: /size/ }, JSON.stringify(text))
  }
})

t.test('shares of cores are read as cores or thousandths', async (t) => {
  for (const [text, milli] of [
    ['0.5', 500],
    ['2', 2000],
    ['250m', 250],
    ['0.001', 1],
  ] as const)
    t.equal(parseCpu(text), milli, text)
  for (const text of ['', '0', '0.0001', '-1', 'two', '1k', '2000'])
    t.throws(() => parseCpu(text), { message: /cores/ }, text)
})

t.test('counts have bounds, and the message names them', async (t) => {
  t.equal(parseCount(1, 32)('32'), 32)
  for (const text of ['0', '33', '1.5', '', 'x'])
    t.throws(() => parseCount(1, 32)(text), { message: /from 1 to 32/ }, text)
})

t.test('durations are read with units, seconds by default', async (t) => {
  for (const [text, ms] of [
    ['500ms', 500],
    ['30', 30_000],
    ['1.5s', 1500],
    ['5m', 300_000],
    ['1h', 3_600_000],
  ] as const) {
    t.equal(parseDuration(text), ms, text)
  }
  for (const text of ['', 'soon', '-1s', '5y']) t.throws(() => parseDuration(text), { message: /duration/ }, text)
})

t.test('amounts are shown with as many digits as help', async (t) => {
  t.equal(formatBytes(0), '0 B')
  t.equal(formatBytes(1023), '1023 B')
  t.equal(formatBytes(1024), '1 KiB')
  t.equal(formatBytes(1.25 * 2 ** 20), '1.3 MiB')
  t.equal(formatBytes(1024 ** 2 - 1), '1 MiB', 'never 1024 KiB')
  t.equal(formatBytes(64 * 2 ** 20), '64 MiB')
  t.equal(formatCpu(100), '0.1')
  t.equal(formatCpu(4000), '4')
  t.equal(formatCpu(5), '0.005')
})

t.test('times are shown in the unit that a person would use', async (t) => {
  for (const [ms, text] of [
    [3.24, '3.2 ms'],
    [62.4, '62 ms'],
    [1449, '1.4 s'],
    [59_999, '1 min 0 s'],
    [125_000, '2 min 5 s'],
  ] as const) {
    t.equal(formatDuration(ms), text)
  }
  for (const [ago, text] of [
    [12_900, '12s'],
    [119_000, '119s'],
    [180_000, '3m'],
    [3 * 3_600_000, '3h'],
    [9 * 86_400_000, '9d'],
  ] as const) {
    t.equal(formatAge(0, ago), text)
  }
  t.equal(formatAge(null, 5), '–')
  t.equal(formatAge(10, 5), '0s', 'a clock that is ahead is no negative age')
})

// How short of memory a machine is.

import t from 'tap'
import { machinePressure } from '../src/pressure.ts'

const capacity = { cpuMilli: 1000, memoryBytes: 900 * 1024, diskBytes: 0, pids: 0 }
const meminfo = (available: number) => `MemTotal:           1000 kB\nMemFree: 1 kB\nMemAvailable:    ${available} kB\n`

t.test('what is used of the capacity; page cache that can be dropped is not', async (t) => {
  t.strictSame(
    machinePressure(capacity, () => meminfo(400)),
    { memoryUsedBytes: 500 * 1024, frozen: [] },
  )
})

t.test('the host’s own share is not its containers’', async (t) => {
  t.match(
    machinePressure(capacity, () => meminfo(950)),
    { memoryUsedBytes: 0 },
  )
})

t.test('a machine that doesn’t say has none', async (t) => {
  t.equal(
    machinePressure(capacity, () => ''),
    null,
  )
})

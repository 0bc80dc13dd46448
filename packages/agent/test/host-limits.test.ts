// What the kernel gives a host so many of.

import t from 'tap'
import { hostLimits } from '../src/host-limits.ts'

t.test('ports of the bridge, and neighbours as the kernel is set, less what the host keeps for itself', async (t) => {
  const settings: Record<string, string> = { 'net/ipv4/neigh/default/gc_thresh3': '4096' }
  t.strictSame(
    hostLimits((path) => settings[path] ?? null),
    { bridgePorts: 1007, neighbourEntries: 4080 },
  )
})

t.test('what can’t be read is no limit', async (t) => {
  t.strictSame(
    hostLimits(() => null),
    { bridgePorts: 1007 },
  )
})

// Planning many demands together: what an evacuation relies on.

import { placeAll } from '@drover/scheduler'
import fc from 'fast-check'
import t from 'tap'
import { anyCluster, anyDemand, demand, GiB, host } from './cluster.ts'

const sized = (name: string, memoryBytes: number) =>
  demand({ name, requests: { cpuMilli: 1, memoryBytes, diskBytes: 0, pids: 1 } })

t.test('the largest is placed first, results come in the order asked', async (t) => {
  const hosts = [host('a', { capacity: { cpuMilli: 4000, memoryBytes: 3 * GiB, diskBytes: 0, pids: 100 } })]
  const results = placeAll({ hosts }, [sized('small', GiB), sized('large', 3 * GiB)], 1)
  t.equal(results[0]?.host, null, 'no room is left for the small one')
  t.equal(results[1]?.host, 'a')
  t.match(results[0]?.placement.hosts[0], { refusal: 'INSUFFICIENT_MEMORY' })
})

t.test('thirty equal containers are packed host by host', async (t) => {
  const capacity = { cpuMilli: 100_000, memoryBytes: 16 * GiB, diskBytes: 0, pids: 100_000 }
  const hosts = ['a', 'b', 'c'].map((name) => host(name, { capacity }))
  const demands = Array.from({ length: 30 }, (_, index) => sized(`web-${index}`, GiB))
  const counts = new Map<string | null, number>()
  for (const { host } of placeAll({ hosts }, demands, 7)) counts.set(host, (counts.get(host) ?? 0) + 1)
  t.same([...counts.values()].sort(), [14, 16], 'one host full, the second takes the rest, the third stays empty')
})

t.test('property: many demands never overcommit a host', async () => {
  fc.assert(
    fc.property(anyCluster, fc.array(anyDemand, { maxLength: 12 }), fc.integer(), (cluster, demands, seed) => {
      const results = placeAll(cluster, demands, seed)
      if (results.length !== demands.length) return false
      return cluster.hosts.every((each) =>
        (['cpuMilli', 'memoryBytes', 'diskBytes', 'pids'] as const).every((key) => {
          const placed = demands.filter((_, index) => results[index]?.host === each.name)
          if (placed.length === 0) return true
          return (
            each.requested[key] + placed.reduce((sum, { requests }) => sum + requests[key], 0) <= each.capacity[key]
          )
        }),
      )
    }),
    { numRuns: 1000 },
  )
})

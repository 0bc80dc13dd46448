// The typed-array model decides as the plain pipeline does, whatever has been placed and removed before.

import {
  type ClusterSnapshot,
  type Demand,
  fillTables,
  Model,
  place,
  withoutPlaced,
  withPlaced,
} from '@drover/scheduler'
import fc from 'fast-check'
import t from 'tap'
import { anyConstrainedCluster, anyConstrainedDemand } from './any-cluster.ts'
import { demand, GiB, host, numbers } from './cluster.ts'

/** Places `demands` both ways, taking one away again now and then; the first difference, or null. */
function difference(cluster: ClusterSnapshot, demands: readonly Demand[], seed: number): string | null {
  const model = new Model(cluster, seed)
  const placed: { host: string; demand: Demand }[] = []
  let snapshot = cluster
  for (const [index, each] of demands.entries()) {
    const expected = place(snapshot, each, seed).host
    const found = model.find(each)
    if (found !== expected || model.place(each) !== expected) {
      return `demand ${index} (${JSON.stringify(each)}): expected ${expected}, the model took ${found}`
    }
    if (expected === null) continue
    snapshot = withPlaced(snapshot, expected, each)
    placed.push({ host: expected, demand: each })
    if ((index + seed) % 3 !== 0) continue
    const gone = placed.splice(Math.abs(index + seed) % placed.length, 1)[0]!
    snapshot = withoutPlaced(snapshot, gone.host, gone.demand)
    model.remove(gone.demand, gone.host)
  }
  return null
}

t.test('property: each decision is the one that the exhaustive pipeline takes', async () => {
  fc.assert(
    fc.property(
      anyConstrainedCluster,
      fc.array(anyConstrainedDemand, { maxLength: 12 }),
      fc.integer(),
      (cluster, demands, seed) => {
        const found = difference(cluster, demands, seed)
        if (found !== null) throw new Error(found)
      },
    ),
    { numRuns: 1500 },
  )
})

const mix = [
  { cpuMilli: 300, memoryBytes: GiB / 4, count: 5 },
  { cpuMilli: 700, memoryBytes: GiB, count: 3 },
  { cpuMilli: 1100, memoryBytes: GiB / 2, count: 2 },
]

for (const policy of ['pack', 'balance', 'spread', 'pack by holes'] as const) {
  t.test(`${policy}: the same decisions on hundreds of hosts, through splits of blocks and departures`, async (t) => {
    const draw = numbers(7)
    const hosts = Array.from({ length: 300 }, (_, index) => host(`h${index}`, { rack: `r${index % 10}` }))
    const pool = policy === 'pack by holes' ? { fill: fillTables(mix) } : { policy }
    const constraints = { hosts: hosts.slice(0, 250).map(({ name }) => name) }
    const demands = Array.from({ length: 700 }, (_, index) => {
      const size = mix[draw(mix.length)]!
      return demand({
        name: `c${index}`,
        requests: { cpuMilli: size.cpuMilli, memoryBytes: size.memoryBytes + draw(3), diskBytes: draw(GiB), pids: 10 },
        image: `sha256:${draw(4)}`,
        ...(draw(4) === 0 ? { constraints } : {}),
        ...(draw(6) === 0
          ? { group: { name: `g${draw(3)}`, kind: 'spread', strict: draw(2) === 0, topology: 'rack', maxPerDomain: 9 } }
          : {}),
      })
    })
    t.equal(difference({ hosts, pools: { default: pool } }, demands, 3), null)
  })
}

t.test('a demand that fits nowhere is refused, and takes nothing', async (t) => {
  const model = new Model({ hosts: [host('a')] }, 1)
  t.equal(model.place(demand({ requests: { cpuMilli: 1, memoryBytes: 5 * GiB, diskBytes: 0, pids: 1 } })), null)
  t.equal(model.containersOn('a'), 0)
  t.equal(model.place(demand()), 'a')
  t.equal(model.containersOn('a'), 1)
  t.throws(() => model.remove(demand(), 'b'), /no host b/)
})

// Placement of one demand: the choice and its sentence by example, then what must hold for any cluster.

import { place, type RefusalName } from '@drover/scheduler'
import fc from 'fast-check'
import t from 'tap'
import { anyCluster, anyDemand, demand, GiB, host, MiB } from './cluster.ts'

const full = { cpuMilli: 0, memoryBytes: 3 * GiB, diskBytes: 0, pids: 0 }

t.test('the fullest host that fits is taken, and says so', async (t) => {
  const { host: chosen, placement } = place(
    { hosts: [host('a'), host('b', { requested: full, images: new Set(['sha256:i']) }), host('c')] },
    demand(),
    1,
  )
  t.equal(chosen, 'b')
  t.equal(placement.reason, 'fullest host that fits: memory 77 % after placing; image is there')
  t.equal(placement.hosts[0]?.host, 'b', 'hosts are listed best first')
})

t.test('among equals: the image, then fewer containers, then the seed', async (t) => {
  const withImage = host('b', { images: new Set(['sha256:i']), containers: 9 })
  t.equal(place({ hosts: [host('a'), withImage] }, demand(), 1).host, 'b')
  t.equal(place({ hosts: [host('a', { containers: 2 }), host('b', { containers: 1 })] }, demand(), 1).host, 'b')
  const hosts = [host('a'), host('b'), host('c')]
  const drawn = new Set(Array.from({ length: 64 }, (_, seed) => place({ hosts }, demand(), seed).host))
  t.same([...drawn].sort(), ['a', 'b', 'c'], 'seeds spread over all equals')
})

const refusals: [string, Parameters<typeof host>[1], Parameters<typeof demand>[0], RefusalName, RegExp][] = [
  ['is silent', { ready: false }, {}, 'HOST_NOT_READY', /report/],
  ['is cordoned', { cordoned: true }, {}, 'HOST_CORDONED', /uncordoned/],
  ['is left by the container', {}, { excluded: new Set(['a']) }, 'HOST_EXCLUDED', /web-1/],
  ['is not the requested one', {}, { host: 'b' }, 'NOT_THE_REQUESTED_HOST', /host b/],
  ['has no CRIU', { migratable: false }, { live: true }, 'HOST_NOT_MIGRATABLE', /CRIU/],
  [
    'lacks memory',
    { requested: { cpuMilli: 0, memoryBytes: 4 * GiB - 12 * MiB, diskBytes: 0, pids: 0 } },
    {},
    'INSUFFICIENT_MEMORY',
    /needs 64 MiB, 12 MiB of 4 GiB free/,
  ],
  [
    'lacks cpu',
    { requested: { cpuMilli: 3950, memoryBytes: 0, diskBytes: 0, pids: 0 } },
    {},
    'INSUFFICIENT_CPU',
    /needs 0.1 cores, 0.05 cores of 4 cores free/,
  ],
  [
    'lacks disk',
    { requested: { cpuMilli: 0, memoryBytes: 0, diskBytes: 100 * GiB, pids: 0 } },
    {},
    'INSUFFICIENT_DISK',
    /1 GiB/,
  ],
  [
    'lacks pids',
    { requested: { cpuMilli: 0, memoryBytes: 0, diskBytes: 0, pids: 99_000 } },
    {},
    'INSUFFICIENT_PIDS',
    /1024, 1000 of 100000/,
  ],
]

for (const [what, change, wanted, name, detail] of refusals) {
  t.test(`a host that ${what} is refused as ${name}`, async (t) => {
    const { host: chosen, placement } = place({ hosts: [host('a', change)] }, demand(wanted), 1)
    t.equal(chosen, null)
    t.match(placement.hosts, [{ host: 'a', feasible: false, refusal: name, detail, score: null }])
  })
}

t.test('a refusal sums up what stood in the way', async (t) => {
  const hosts = [host('a', { cordoned: true }), host('b', { ready: false }), host('c', { ready: false })]
  t.equal(place({ hosts }, demand(), 1).placement.reason, 'no host can take web-1: 1 cordoned, 2 not ready')
  t.equal(place({ hosts }, demand({ host: 'a' }), 1).placement.reason, 'no host can take web-1: 1 cordoned')
  t.match(place({ hosts }, demand({ host: 'q' }), 1).placement.reason, /host q is not in the cluster/)
  t.match(place({ hosts: [] }, demand(), 1).placement.reason, /no host has joined/)
})

/** The same rules again, written the slow way. */
function fits(each: ReturnType<typeof host>, wanted: ReturnType<typeof demand>): boolean {
  const room = (['cpuMilli', 'memoryBytes', 'diskBytes', 'pids'] as const).every(
    (key) => each.requested[key] + wanted.requests[key] <= each.capacity[key],
  )
  const asked = wanted.host === null || wanted.host === each.name
  return (
    each.ready &&
    !each.cordoned &&
    asked &&
    !wanted.excluded.has(each.name) &&
    (each.migratable || !wanted.live) &&
    room
  )
}

t.test('property: refused exactly when no host fits, and never overcommitted', async () => {
  fc.assert(
    fc.property(anyCluster, anyDemand, fc.integer(), (cluster, wanted, seed) => {
      const { host: chosen, placement } = place(cluster, wanted, seed)
      const fitting = cluster.hosts.filter((each) => fits(each, wanted)).map(({ name }) => name)
      const feasible = placement.hosts.filter((each) => each.feasible).map((each) => each.host)
      if (feasible.sort().join() !== fitting.sort().join()) return false
      if (placement.hosts.length !== cluster.hosts.length) return false
      return chosen === null ? fitting.length === 0 : fitting.includes(chosen)
    }),
    { numRuns: 2000 },
  )
})

t.test('property: the choice is the best fit that an exhaustive search finds', async () => {
  fc.assert(
    fc.property(anyCluster, anyDemand, fc.integer(), (cluster, wanted, seed) => {
      const fill = (each: ReturnType<typeof host>) =>
        Math.max(
          ...(['cpuMilli', 'memoryBytes', 'diskBytes', 'pids'] as const).map((key) =>
            each.capacity[key] === 0 ? 0 : (each.requested[key] + wanted.requests[key]) / each.capacity[key],
          ),
        )
      const fitting = cluster.hosts.filter((each) => fits(each, wanted))
      const chosen = fitting.find(({ name }) => name === place(cluster, wanted, seed).host)
      if (!chosen) return fitting.length === 0
      const key = (each: ReturnType<typeof host>) => [
        fill(each),
        Number(each.images.has(wanted.image)),
        -each.containers,
      ]
      const best = key(chosen)
      return fitting.every((each) => {
        const other = key(each)
        const at = other.findIndex((value, index) => value !== best[index])
        return at === -1 || best[at]! > other[at]!
      })
    }),
    { numRuns: 2000 },
  )
})

t.test('property: the same arguments give the same plan, in whatever order hosts are listed', async () => {
  fc.assert(
    fc.property(anyCluster, anyDemand, fc.integer(), (cluster, wanted, seed) => {
      const plan = JSON.stringify(place(cluster, wanted, seed))
      const reversed = { hosts: [...cluster.hosts].reverse() }
      return (
        plan === JSON.stringify(place(cluster, wanted, seed)) && plan === JSON.stringify(place(reversed, wanted, seed))
      )
    }),
    { numRuns: 1000 },
  )
})

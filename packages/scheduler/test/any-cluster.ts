// Random clusters and demands with every kind of constraint, small enough that exact fits, ties and refusals are common.

import { type ClusterSnapshot, type Demand, fillTables, type HostSnapshot, type PoolPolicy } from '@drover/scheduler'
import fc from 'fast-check'

const amounts = (max: number) =>
  fc.record({ cpuMilli: fc.nat(max), memoryBytes: fc.nat(max), diskBytes: fc.nat(max), pids: fc.nat(max) })
const named = (...names: string[]) => fc.subarray(names).map((list) => new Set(list))
const rarely = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 1 })
const often = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 4 })

/** fast-check makes `undefined` where the types want a key that is missing. */
function withoutUndefined<T extends object>(value: object): T {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as T
}

const anyHost = fc.record({
  // Few sizes, so that several hosts share a shelf.
  capacity: fc.oneof(
    { weight: 4, arbitrary: fc.constant({ cpuMilli: 12, memoryBytes: 12, diskBytes: 20, pids: 20 }) },
    { weight: 1, arbitrary: amounts(12) },
  ),
  requested: fc.oneof(fc.constant({ cpuMilli: 0, memoryBytes: 0, diskBytes: 0, pids: 0 }), amounts(6)),
  ready: fc.nat(9).map((lot) => lot > 0),
  cordoned: fc.nat(9).map((lot) => lot === 0),
  migratable: fc.boolean(),
  images: named('i', 'j'),
  containers: fc.nat(3),
  limits: rarely(fc.record({ inotifyWatches: fc.nat(6), ptys: fc.nat(6) })),
  limitsRequested: rarely(fc.record({ inotifyWatches: fc.nat(3), ptys: fc.nat(3) })),
  measured: rarely(fc.record({ cpuMilli: fc.nat(6), memoryBytes: fc.nat(6) })),
  pool: fc.constantFrom(undefined, undefined, undefined, 'other'),
  labels: rarely(fc.record({ disk: fc.constantFrom('ssd', 'hdd') })),
  architecture: often(fc.constantFrom('x86_64', 'aarch64')),
  cpuFeatures: rarely(named('avx2', 'sse4')),
  kernelFeatures: rarely(named('userfaultfd')),
  criuFeatures: rarely(named('pidfd')),
  devices: rarely(fc.record({ gpu: fc.nat(2) })),
  listens: rarely(fc.record({ 'tcp:0.0.0.0:80': fc.nat(1), 'tcp:10.0.0.1:81': fc.nat(1) })),
  holdsDisks: often(fc.boolean()),
  taints: rarely(
    fc.array(fc.record({ key: fc.constantFrom('gpu', 'old'), effect: fc.constantFrom('refuse', 'avoid') }), {
      maxLength: 2,
    }),
  ),
  rack: often(fc.constantFrom('r1', 'r2', 'r3')),
  zone: often(fc.constantFrom('z1', 'z2')),
  groups: rarely(fc.record({ g: fc.nat(2), k: fc.nat(2) })),
})

const anyPool: fc.Arbitrary<PoolPolicy> = fc
  .record({
    policy: rarely(fc.constantFrom('pack', 'balance', 'spread')),
    overcommit: rarely(fc.record({ cpu: fc.constantFrom(1, 1.5, 2), memory: fc.constantFrom(1, 1.25) })),
    idleReserve: rarely(fc.constantFrom(0, 0.1, 0.5)),
    fill: rarely(
      fc
        .array(fc.record({ cpuMilli: fc.integer({ min: 1, max: 5 }), memoryBytes: fc.nat(5), count: fc.constant(1) }), {
          maxLength: 4,
        })
        .map(fillTables),
    ),
  })
  .map(withoutUndefined<PoolPolicy>)

export const anyConstrainedCluster: fc.Arbitrary<ClusterSnapshot> = fc
  .record({
    hosts: fc.array(anyHost, { maxLength: 12 }),
    pools: fc.record({ default: anyPool, other: anyPool }),
    projects: fc.record({
      p: fc.record({
        quota: fc.record({ cpuMilli: fc.nat(20), containers: fc.nat(8) }),
        used: amounts(5).map((used) => ({ ...used, containers: 0 })),
      }),
    }),
  })
  .map(({ hosts, ...cluster }) => ({
    ...cluster,
    hosts: hosts.map((host, index) => withoutUndefined<HostSnapshot>({ ...host, name: `h${index}` })),
  }))

const anyConstraints = fc
  .record({
    pool: fc.constantFrom(undefined, undefined, 'other'),
    labels: rarely(fc.record({ disk: fc.constantFrom('ssd', 'hdd') })),
    architecture: rarely(fc.constantFrom('x86_64', 'aarch64')),
    cpuFeatures: rarely(fc.subarray(['avx2', 'sse4'])),
    kernelFeatures: fc.constantFrom(undefined, undefined, ['userfaultfd']),
    criuFeatures: fc.constantFrom(undefined, undefined, ['pidfd']),
    hosts: rarely(fc.subarray(['h0', 'h1', 'h2', 'h3'], { minLength: 1 })),
    devices: rarely(fc.record({ gpu: fc.nat(2) })),
    sizedDisk: rarely(fc.constant(true)),
    tolerations: rarely(fc.subarray(['gpu', 'old'])),
  })
  .map(withoutUndefined)

export const anyConstrainedDemand: fc.Arbitrary<Demand> = fc
  .record({
    name: fc.constantFrom('x', 'y', 'z'),
    requests: amounts(5),
    image: fc.constantFrom('i', 'j', 'k'),
    host: fc.option(fc.constantFrom('h0', 'h1', 'h99'), { nil: null, freq: 1 }),
    excluded: fc.subarray(['h0', 'h2']).map((list) => new Set(list)),
    live: fc.boolean(),
    limits: rarely(fc.record({ inotifyWatches: fc.nat(3), ptys: fc.nat(3) })),
    measured: rarely(fc.record({ cpuMilli: fc.nat(3), memoryBytes: fc.nat(3) })),
    constraints: rarely(anyConstraints),
    group: rarely(
      fc
        .record({
          name: fc.constantFrom('g', 'k'),
          kind: fc.constantFrom('spread', 'pack'),
          strict: fc.boolean(),
          topology: fc.constantFrom('host', 'rack', 'zone'),
          maxPerDomain: rarely(fc.integer({ min: 1, max: 3 })),
        })
        .map(withoutUndefined),
    ),
    listens: rarely(fc.subarray(['tcp:10.0.0.1:80', 'tcp:10.0.0.1:81', 'tcp:0.0.0.0:81'], { minLength: 1 })),
    project: rarely(fc.constantFrom('p', 'q')),
  })
  .map(withoutUndefined<Demand>)

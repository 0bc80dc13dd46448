// Hosts and demands for the scheduler's tests: by hand with defaults, and as fast-check arbitraries.

import type { ClusterSnapshot, Demand, HostSnapshot } from '@drover/scheduler'
import fc from 'fast-check'

export const MiB = 1 << 20
export const GiB = 1 << 30

export function host(name: string, change: Partial<HostSnapshot> = {}): HostSnapshot {
  return {
    name,
    capacity: { cpuMilli: 4000, memoryBytes: 4 * GiB, diskBytes: 100 * GiB, pids: 100_000 },
    requested: { cpuMilli: 0, memoryBytes: 0, diskBytes: 0, pids: 0 },
    ready: true,
    cordoned: false,
    migratable: true,
    images: new Set(),
    containers: 0,
    ...change,
  }
}

export function demand(change: Partial<Demand> = {}): Demand {
  return {
    name: 'web-1',
    requests: { cpuMilli: 100, memoryBytes: 64 * MiB, diskBytes: GiB, pids: 1024 },
    image: 'sha256:i',
    host: null,
    excluded: new Set(),
    live: false,
    ...change,
  }
}

/** A repeatable stream of numbers below `limit` (xorshift32). */
export function numbers(seed: number): (limit: number) => number {
  let state = seed | 1
  return (limit) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % limit
  }
}

/** Small amounts, so that full hosts, exact fits and ties are common. */
const resources = (max: number) =>
  fc.record({
    cpuMilli: fc.nat(max),
    memoryBytes: fc.nat(max),
    diskBytes: fc.nat(max),
    pids: fc.nat(max),
  })

const images = fc.subarray(['i', 'j']).map((list) => new Set(list))

export const anyCluster: fc.Arbitrary<ClusterSnapshot> = fc
  .array(
    fc.record({
      capacity: resources(12),
      requested: resources(6),
      ready: fc.boolean(),
      cordoned: fc.boolean(),
      migratable: fc.boolean(),
      images,
      containers: fc.nat(3),
    }),
    { maxLength: 6 },
  )
  .map((hosts) => ({ hosts: hosts.map((each, index) => ({ ...each, name: `h${index}` })) }))

export const anyDemand: fc.Arbitrary<Demand> = fc.record({
  name: fc.constantFrom('x', 'y', 'z'),
  requests: resources(5),
  image: fc.constantFrom('i', 'j'),
  host: fc.option(fc.constantFrom('h0', 'h1', 'h9'), { nil: null, freq: 5 }),
  excluded: fc.subarray(['h0', 'h2']).map((list) => new Set(list)),
  live: fc.boolean(),
})

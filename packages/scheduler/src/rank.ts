// The order among hosts that can take a demand: best fit on the dominant resource, that is, the host that would be fullest.
// Packing tightly keeps whole hosts empty, so that a large container still fits and consolidation has little to do.
// A total order: no two hosts compare equal, so the plan doesn't depend on the order in which hosts are listed.

import type { Resources } from '@drover/protocol'
import type { Demand, HostSnapshot } from './snapshot.ts'

export interface Ranked {
  host: HostSnapshot
  /** The resource that would be scarcest on the host after placing. */
  dominant: keyof Resources
  /** Share of it that would be requested, 0…1. Higher is better. */
  score: number
  hasImage: boolean
}

/** Best first. All `hosts` must be feasible. */
export function rank(hosts: readonly HostSnapshot[], demand: Demand, seed: number): Ranked[] {
  return hosts.map((host) => measure(host, demand)).sort((left, right) => compare(left, right, seed))
}

const resourceKeys = ['memoryBytes', 'cpuMilli', 'diskBytes', 'pids'] as const satisfies (keyof Resources)[]

function measure(host: HostSnapshot, demand: Demand): Ranked {
  let dominant: keyof Resources = resourceKeys[0]
  let score = -1
  for (const key of resourceKeys) {
    const share = shareOf(host.requested[key] + demand.requests[key], host.capacity[key])
    if (share > score) {
      dominant = key
      score = share
    }
  }
  return { host, dominant, score, hasImage: host.images.has(demand.image) }
}

/** A resource of which there is none, and of which none is asked, is not scarce. */
function shareOf(requested: number, capacity: number): number {
  return capacity === 0 ? 0 : requested / capacity
}

function compare(left: Ranked, right: Ranked, seed: number): number {
  return (
    right.score - left.score ||
    Number(right.hasImage) - Number(left.hasImage) ||
    left.host.containers - right.host.containers ||
    lot(seed, left.host.name) - lot(seed, right.host.name) ||
    (left.host.name < right.host.name ? -1 : 1)
  )
}

/** A host's lot in the draw among equals: FNV-1a over seed and name, so that one seed doesn't favour one name always. */
function lot(seed: number, name: string): number {
  let hash = 0x811c9dc5 ^ (seed | 0)
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d)
  return (hash ^ (hash >>> 13)) >>> 0
}

// The order among hosts that can take a demand. First what the demand or the host would rather avoid (preferred groups, taints
// of the kind `avoid`), then the pool's policy: `pack` takes the host that would be fullest in its scarcest resource (tight
// packing keeps whole hosts empty, so that a large container still fits), `balance` the one that would be least full, `spread`
// the one with the fewest containers. A pool with a mix of sizes packs by the holes that would be left (fill.ts).
// A total order: no two hosts compare equal, so the plan doesn't depend on the order in which hosts are listed.

import { reasonsToAvoid } from './constraints.ts'
import { poolOf, type Trial } from './feasible.ts'
import {
  cpuCells,
  fillScore,
  freeCpuCell,
  freeMemoryCell,
  lastResortScore,
  maxOpenHosts,
  memoryCells,
  neededCells,
  openingScore,
  openShare,
  wasteTable,
} from './fill.ts'
import { domainOf, groupPenalty } from './groups.ts'
import {
  columns,
  cpuColumn,
  type HostVectors,
  hostVectors,
  memoryColumn,
  type ResourceName,
  resourceOrder,
  shareOf,
} from './resource-vector.ts'
import type { HostSnapshot, PoolPolicy } from './snapshot.ts'

export interface Ranked {
  host: HostSnapshot
  /** The resource that would be scarcest on the host after placing. */
  dominant: ResourceName
  /** Share of it that would be taken, 0…1. */
  share: number
  /** Higher is better, by the pool's policy. */
  score: number
  /** What would rather be avoided; 0 is best, and comes before the score. */
  penalty: number
  hasImage: boolean
}

/** Best first. All `hosts` must be feasible; `openHosts` counts those of the whole cluster (fill.ts). */
export function rank(hosts: readonly HostSnapshot[], trial: Trial, openHosts: number, seed: number): Ranked[] {
  return hosts.map((host) => measure(host, trial, openHosts)).sort((left, right) => compare(left, right, seed))
}

function measure(host: HostSnapshot, trial: Trial, openHosts: number): Ranked {
  const pool = poolOf(host, trial.pools)
  const vectors = hostVectors(host, pool)
  let dominant = 0
  let share = -1
  for (let column = 0; column < columns; column++) {
    const after = shareOf(vectors.requested[column]! + trial.vector[column]!, vectors.capacity[column]!)
    if (after > share) {
      dominant = column
      share = after
    }
  }
  const { demand } = trial
  return {
    host,
    dominant: resourceOrder[dominant]!,
    share,
    score: policyScore(host, pool, vectors, trial, share, openHosts),
    penalty: penaltyOf(host, trial),
    hasImage: host.images.has(demand.image),
  }
}

/** Taints weigh more than any group. */
export const taintPenalty = 1e6

function penaltyOf(host: HostSnapshot, { demand, group }: Trial): number {
  const avoided = reasonsToAvoid(host, demand.constraints) * taintPenalty
  if (!demand.group || !group) return avoided
  return avoided + groupPenalty(demand.group, group, domainOf(host, demand.group.topology))
}

function policyScore(
  host: HostSnapshot,
  pool: PoolPolicy,
  { capacity, requested }: HostVectors,
  { vector }: Trial,
  share: number,
  openHosts: number,
): number {
  if (pool.policy === 'balance') return -share
  if (pool.policy === 'spread') return -host.containers
  if (!pool.fill) return share
  if (host.containers === 0) return openHosts < maxOpenHosts ? openingScore : lastResortScore
  const cpu = capacity[cpuColumn]!
  const memory = capacity[memoryColumn]!
  return fillScore(
    wasteTable(pool.fill, cpu, memory),
    freeCpuCell(cpu - requested[cpuColumn]!, cpu),
    freeMemoryCell(memory - requested[memoryColumn]!, memory),
    neededCells(vector[cpuColumn]!, cpu, cpuCells),
    neededCells(vector[memoryColumn]!, memory, memoryCells),
  )
}

/** In use, with a good deal of cpu and memory free. */
export function isOpen(host: HostSnapshot, pool: PoolPolicy): boolean {
  if (host.containers === 0 || !host.ready || host.cordoned) return false
  const { capacity, requested } = hostVectors(host, pool)
  return [cpuColumn, memoryColumn].every((at) => capacity[at]! - requested[at]! > openShare * capacity[at]!)
}

function compare(left: Ranked, right: Ranked, seed: number): number {
  return (
    left.penalty - right.penalty ||
    right.score - left.score ||
    Number(right.hasImage) - Number(left.hasImage) ||
    left.host.containers - right.host.containers ||
    lot(seed, left.host.name) - lot(seed, right.host.name) ||
    (left.host.name < right.host.name ? -1 : 1)
  )
}

/** A host's lot in the draw among equals: FNV-1a over seed and name, so that one seed doesn't favour one name always. */
export function lot(seed: number, name: string): number {
  let hash = 0x811c9dc5 ^ (seed | 0)
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d)
  return (hash ^ (hash >>> 13)) >>> 0
}

// Hosts that are alike but for their use, with the index that their pool's policy needs.

import { createCellIndex } from './cell-index.ts'
import { createOrderIndex } from './order-index.ts'
import { columns } from './resource-vector.ts'
import type { Rows, ShelfIndex } from './rows.ts'
import { defaultPool, type HostSnapshot, type PoolPolicy } from './snapshot.ts'

export interface Shelf {
  id: number
  pool: string
  /** Condition and nature are the same for all. */
  example: HostSnapshot
  members: number[]
  index: ShelfIndex
}

export function createShelf(id: number, example: HostSnapshot, pool: PoolPolicy, rows: Rows, slot: number): Shelf {
  const capacity = rows.capacity.slice(slot * columns, (slot + 1) * columns)
  const byHoles = pool.fill !== undefined && (pool.policy ?? 'pack') === 'pack'
  const index = byHoles
    ? createCellIndex(rows, capacity, pool.fill!)
    : createOrderIndex(rows, capacity, pool.policy ?? 'pack')
  return { id, pool: example.pool ?? defaultPool, example, members: [], index }
}

/** Equal for hosts that differ in name, labels, topology and use only. Labels are often one per host, so they'd part all. */
export function shelfKey(host: HostSnapshot): string {
  const { capacity, limits, ready, cordoned, migratable, measured, pool, architecture, taints } = host
  const features = [host.cpuFeatures, host.kernelFeatures, host.criuFeatures].map((set) => [...(set ?? [])].sort())
  return JSON.stringify([
    capacity,
    limits,
    ready,
    cordoned,
    migratable,
    !measured,
    pool,
    architecture,
    taints,
    host.holdsDisks === false,
    features,
  ])
}

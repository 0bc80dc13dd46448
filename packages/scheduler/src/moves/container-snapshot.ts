// A container where it is now, with what moving it means: what the planners of moves (rebalance, consolidate, evacuate, make
// room) are told. Plain data; what it would ask of another host is the same Demand that a launch is placed by.

import type { PlacedContainer } from '../snapshot.ts'

/** What of a host's load moves with a container; measured, or forecast from what was measured. */
export interface Use {
  cpuMilli: number
  memoryBytes: number
}

/** `demand.name` is the container's name, `demand.host` null unless it is pinned to its host. */
export interface ContainerSnapshot extends PlacedContainer {
  /** Why it isn't movable, for a person; null or missing when it is. */
  fixed?: string | null
  /** What it is expected to use; null: nothing was measured, so its requests count. */
  use: Use | null
  /** Sent while it is moved: resident memory, and the disk's upper layer. */
  residentBytes: number
  diskBytes: number
  /** How fast it writes to its disk. */
  dirtyBytesPerS: number
  /** Of its memory, what its last live move had to send after the freeze; missing: it never moved, so all of it. */
  memoryFrozenBytes?: number
  /** How fast it wrote to its memory then; missing: not known. */
  memoryDirtyBytesPerS?: number
}

export const useOf = ({ use, demand }: ContainerSnapshot): Use => use ?? demand.requests

export const compareNames = (left: string, right: string): number => (left < right ? -1 : left > right ? 1 : 0)

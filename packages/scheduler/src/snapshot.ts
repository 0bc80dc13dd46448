// What the scheduler is told: plain data, made by the caller from the committed state and the last reports. Only what every
// cluster knows is required; everything else has a default that refuses nothing and prefers nothing.

import type { Placement, Resources } from '@drover/protocol'
import type { FillTables } from './fill.ts'

export interface HostSnapshot {
  name: string
  capacity: Resources
  /** Sum of the requests of the containers that are on it or on their way to it. */
  requested: Resources
  ready: boolean
  cordoned: boolean
  /** It can take part in a live move. */
  migratable: boolean
  images: ReadonlySet<string>
  containers: number
  /** Kernel limits that bite at density; a missing one is no limit. */
  limits?: Partial<DensityAmounts>
  limitsRequested?: Partial<DensityAmounts>
  /** Measured use of all its containers together; null or missing: not measured, so not checked. */
  measured?: MeasuredUse | null
  /** Default `default`. */
  pool?: string
  labels?: Readonly<Record<string, string>>
  architecture?: string
  cpuFeatures?: ReadonlySet<string>
  kernelFeatures?: ReadonlySet<string>
  criuFeatures?: ReadonlySet<string>
  /** Free devices by kind. */
  devices?: Readonly<Record<string, number>>
  /** Addresses that its containers listen at, and how many of them. */
  listens?: Readonly<Record<string, number>>
  /** It holds containers to the size of their disks; missing: it does. */
  holdsDisks?: boolean
  taints?: readonly Taint[]
  rack?: string
  zone?: string
  /** Members of each placement group on it. */
  groups?: Readonly<Record<string, number>>
}

/** Amounts of what the kernel counts per host (or per user on the host), not per container. */
export interface DensityAmounts {
  inotifyWatches: number
  keyrings: number
  ptys: number
  neighbourEntries: number
  bridgePorts: number
}

/** A percentile over time that the caller has chosen (p95 by default of the agents' reports). */
export interface MeasuredUse {
  cpuMilli: number
  memoryBytes: number
}

export interface Taint {
  key: string
  /** `refuse`: only containers that tolerate the key; `avoid`: others only when no other host will do. */
  effect: 'refuse' | 'avoid'
}

export interface ClusterSnapshot {
  hosts: readonly HostSnapshot[]
  /** Pools that aren't here have the default policy. */
  pools?: Readonly<Record<string, PoolPolicy>>
  projects?: Readonly<Record<string, Project>>
  /** Containers that are placed; only making room needs them. */
  containers?: readonly PlacedContainer[]
}

export interface PoolPolicy {
  /** Default `pack`. */
  policy?: 'pack' | 'balance' | 'spread'
  /** Requests may add up to so many times the capacity; what is measured must still fit. Default 1. */
  overcommit?: { cpu?: number; memory?: number }
  /** Share of the capacity kept free of measured use, for idle containers that wake up. Default 0. */
  idleReserve?: number
  /** What the sizes of recent demands say about holes; makes `pack` avoid those that nothing will fill. See fill.ts. */
  fill?: FillTables
}

export interface Project {
  quota: Partial<Resources> & { containers?: number; privileged?: boolean }
  used: Resources & { containers: number }
}

export interface PlacedContainer {
  host: string
  demand: Demand
  /** False: it can't or must not be moved. */
  movable: boolean
  /** It may be stopped to make room for one of a higher priority; missing: it may not. */
  stoppable?: boolean
}

export interface Demand {
  name: string
  requests: Resources
  image: string
  /** Only this host will do; null: any. */
  host: string | null
  /** Never these, e.g. the host it leaves, or one that failed just now. */
  excluded: ReadonlySet<string>
  /** The container arrives by a live move, so the host must be migratable. */
  live: boolean
  limits?: Partial<DensityAmounts>
  /** What it will use; missing: its requests. Counts only on hosts that are measured. */
  measured?: MeasuredUse
  /** Containers of one kind should share the object: what it says of each host is then worked out once. */
  constraints?: Constraints
  /** Addresses of its host that it listens at: see listens.ts. */
  listens?: readonly string[]
  group?: GroupRule
  project?: string
  /** Its root is that of its host: a project may refuse it. */
  privileged?: boolean
  /** Higher is more important. Default 0. */
  priority?: number
}

export interface Constraints {
  /** Default `default`. */
  pool?: string
  labels?: Readonly<Record<string, string>>
  architecture?: string
  cpuFeatures?: readonly string[]
  kernelFeatures?: readonly string[]
  criuFeatures?: readonly string[]
  /** Pinned: one of these hosts. */
  hosts?: readonly string[]
  devices?: Readonly<Record<string, number>>
  /** Its disk has a size: rather where that is held. */
  sizedDisk?: boolean
  /** Keys of taints that it may go to all the same. */
  tolerations?: readonly string[]
}

export interface GroupRule {
  name: string
  /** `spread`: members apart; `pack`: members together. */
  kind: 'spread' | 'pack'
  /** False: a preference, which comes before the pool's policy. */
  strict: boolean
  topology: 'host' | 'rack' | 'zone'
  /** Strict spread: how many members a domain may have. Default 1. */
  maxPerDomain?: number
}

export const defaultPool = 'default'

export type PlaceResult = { host: string; placement: Placement } | { host: null; placement: Placement }

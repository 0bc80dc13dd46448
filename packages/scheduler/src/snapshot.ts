// What the scheduler is told: plain data, made by the caller from the committed state and the last reports.

import type { Placement, Resources } from '@drover/protocol'

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
}

export interface ClusterSnapshot {
  hosts: readonly HostSnapshot[]
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
}

export type PlaceResult = { host: string; placement: Placement } | { host: null; placement: Placement }

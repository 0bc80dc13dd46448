// What the API's routes work on.

import type { ControllerConfig } from '@drover/protocol'
import type { ReplicatedLog } from '@drover/raft'
import type { Logger } from 'pino'
import type { PendingPlacement } from '../core/cluster-snapshot.ts'
import type { EventHub } from './event-hub.ts'
import type { Reports } from './reports.ts'
import type { ClusterStateMachine } from './state-machine.ts'

export interface ControllerContext {
  config: ControllerConfig
  log: ReplicatedLog
  machine: ClusterStateMachine
  reports: Reports
  events: EventHub
  /** Placements that are proposed and not applied yet, by operation. */
  pending: Map<string, PendingPlacement>
  logger: Logger
  now(): number
  /** For ties in placements. */
  seed(): number
}

/** The API address of a member: a URL, whatever way it is written in the configuration. */
export const apiUrl = (api: string): string => (/^https?:\/\//.test(api) ? api.replace(/\/+$/, '') : `http://${api}`)

// What every step may use: the agent's parts, put together once in agent.ts. Steps get nothing else, so that a test can
// give them an engine in memory.

import type { EngineMethod, EngineMethods } from '@drover/engine'
import type { Assignment } from '@drover/protocol'
import type { AssignmentStore } from './assignment-store.ts'
import type { EngineMirror } from './engine-mirror.ts'
import type { EnginePort } from './engine-port.ts'
import type { FaultPoints } from './fault-points.ts'
import type { ImageStore } from './images/image-store.ts'
import type { ImageFetcher } from './images/image-transfer.ts'
import type { Uploads } from './images/uploads.ts'
import type { LeaseKeeper } from './lease-keeper.ts'
import type { Leftovers } from './leftovers/leftovers.ts'
import type { MigrationSessions } from './migration/sessions.ts'
import type { SwitchedNotes } from './migration/switched-notes.ts'
import type { SnapshotJobs } from './snapshots/jobs.ts'
import type { KeptStreams } from './streams/kept-streams.ts'
import type { Pace } from './streams/pace.ts'
import type { Access } from './tls.ts'
import type { Volumes } from './volumes/volumes.ts'

export interface Log {
  debug(context: object, message: string): void
  info(context: object, message: string): void
  warn(context: object, message: string): void
  error(context: object, message: string): void
}

export interface AgentParts {
  host: string
  access: Access
  /** On tmpfs: checkpoints are written below it, one directory per operation. */
  checkpointRoot: string
  switched: SwitchedNotes
  engine: EnginePort
  mirror: EngineMirror
  store: AssignmentStore
  images: ImageStore
  fetcher: ImageFetcher
  sessions: MigrationSessions
  faults: FaultPoints
  /** This host's link, each way: moves share it. */
  links: { outgoing: Pace; incoming: Pace }
  keptStreams: KeptStreams
  snapshots: SnapshotJobs
  uploads: Uploads
  leftovers: Leftovers
  volumes: Volumes
  lease: LeaseKeeper
  log: Log
}

/** One step for one container under one assignment. */
export interface StepContext {
  parts: AgentParts
  container: string
  /** Null only for removing what nobody assigned. */
  assignment: Assignment | null
}

/** A call about one container whose answer is its new state: the mirror learns it before anyone else asks. */
export async function callAndMirror<
  M extends 'replaceDisk' | 'create' | 'update' | 'start' | 'stop' | 'freeze' | 'thaw' | 'prepareRestore',
>(
  parts: AgentParts,
  method: M,
  params: EngineMethods[M & EngineMethod]['params'],
  deadlineMs: number,
): Promise<EngineMethods['get']['result']> {
  const container = (await parts.engine.call(method, params, { deadlineMs })) as EngineMethods['get']['result']
  parts.mirror.answer(container)
  return container
}

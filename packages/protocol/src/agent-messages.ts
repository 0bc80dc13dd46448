// What controllers and agents say to each other over NATS. Everything is level-triggered: an assignment is the whole
// truth about one container on one host, a report is the whole truth about what a host does; both may be lost, repeated or
// arrive late, and newer ones replace older ones (assignments by revision, reports by session and sequence). Between two reports
// an agent says what is different from the last one, all of it each time: whoever has that one has the whole truth again.

import { type Static, Type } from '@drover/schema'
import { MoveTerms } from './move-options.ts'
import { Nullable } from './nullable.ts'
import {
  AssignedVolumes,
  ContainerSpec,
  CopyOrigin,
  ExportTask,
  FirstBootOutcome,
  HostFeatures,
  Identity,
  ImageProperties,
  ImageSource,
  MemoryPressure,
  MigrationFigures,
  MigrationMode,
  MigrationPhase,
  PowerState,
  Resources,
  SnapshotResult,
  SnapshotTask,
  VolumeCopy,
} from './resources.ts'

export * from './subjects.ts'

export const Peer = Type.Object({ host: Type.String(), address: Type.String(), streamPort: Type.Integer() })
export type Peer = Static<typeof Peer>

/** What one host shall do about one container. */
export const Assignment = Type.Object({
  container: Type.String(),
  name: Type.String(),
  revision: Type.Integer({ description: 'log index; a higher one replaces a lower one' }),
  /** owner: may run it under `epoch`. source/destination: as `migration` says. none: remove every trace of it. */
  role: Type.Union([Type.Literal('owner'), Type.Literal('source'), Type.Literal('destination'), Type.Literal('none')]),
  /** The epoch under which this host may act: for a destination before the commit, the next one. */
  epoch: Type.Integer(),
  /** What the host has of it from an older epoch is a disk that was given up; missing: it never was. */
  diskEpoch: Type.Optional(Type.Integer()),
  desired: PowerState,
  /** How long a stop may take before the container is killed; absent: the agent's default. */
  stopTimeoutMs: Type.Optional(Type.Integer()),
  spec: ContainerSpec,
  identity: Identity,
  /** Missing: it has none. */
  volumes: Type.Optional(AssignedVolumes),
  /** Names of the snapshots that it has: others are removed. Missing: from an older controller, which knows of none. */
  snapshots: Type.Optional(Type.Array(Type.String())),
  snapshotTask: Type.Optional(SnapshotTask),
  exportTask: Type.Optional(ExportTask),
  /** Its disk is a copy: nothing of it runs before that is there. */
  origin: Type.Optional(CopyOrigin),
  /** Hosts that hold the image, to fetch it from when it is missing here. */
  imageSources: Type.Array(Peer),
  migration: Nullable(
    Type.Object({
      operation: Type.String(),
      phase: MigrationPhase,
      mode: MigrationMode,
      terms: Type.Optional(MoveTerms),
      /** While `preparing`, the source goes on to pre-copy as soon as both sides are ready, and says so only if that takes its time. Missing: it is told to. */
      precopiesAtOnce: Type.Optional(Type.Boolean()),
      source: Peer,
      destination: Peer,
    }),
  ),
})
export type Assignment = Static<typeof Assignment>

/** A job that gives an image: build one, or make it of what `source` says. */
export const ImageTask = Type.Object({
  operation: Type.String(),
  recipe: Type.String({ description: 'busybox or debian; empty with a source' }),
  name: Type.String(),
  revision: Type.Integer(),
  source: Type.Optional(ImageSource),
})
export type ImageTask = Static<typeof ImageTask>

/** Leader → agent, published on subjects.assignments(host) for changed ones; also the answer to a pull. */
export const AssignmentBatch = Type.Object({
  /** Raft term or start count of the leader; batches of an older one are dropped. */
  term: Type.Integer(),
  /** Applied index that the batch reflects. */
  index: Type.Integer(),
  /** True: all that this host has; containers of the engine that are not in it are removed. */
  complete: Type.Boolean(),
  /** Of a complete one: digests of all images that are named or in use; missing: an older controller, which doesn’t say. */
  images: Type.Optional(Type.Array(Type.String())),
  assignments: Type.Array(Assignment),
  imageTasks: Type.Array(ImageTask),
  /** Of a complete one: images to fetch although nothing needs them here yet. */
  keepImages: Type.Optional(Type.Array(Type.Object({ digest: Type.String(), sources: Type.Array(Peer) }))),
  /** Of a complete one: how much may be kept of containers that have left (null: as is usual), and what isn't wanted. Missing: an older controller. */
  leftovers: Type.Optional(
    Type.Object({ mostBytes: Nullable(Type.Integer({ minimum: 0 })), drop: Type.Array(Type.String()) }),
  ),
  /** Of a complete one: directories of volumes, of those it has reported, that are old, unfinished or deleted. */
  dropVolumes: Type.Optional(Type.Array(VolumeCopy)),
  /** Of a complete one: names of hosts that were removed, whose certificates count for nothing any more. Missing: none, or an older controller. */
  removedHosts: Type.Optional(Type.Array(Type.String())),
  /** Of the answer to a pull that asks for it: the addresses of the other hosts. */
  hosts: Type.Optional(Type.Array(Type.String())),
  /** Of the answer to a pull: how long the host may run what needs a lease, from when it asked. Missing: not at all. */
  leaseMs: Type.Optional(Type.Integer({ minimum: 1 })),
})
export type AssignmentBatch = Static<typeof AssignmentBatch>

/** How far this side has come in a migration. Steps only go forward; `failed` may come at any time before `committed`. */
export const MigrationStep = Type.Object({
  operation: Type.String(),
  container: Type.String(),
  side: Type.Union([Type.Literal('source'), Type.Literal('destination')]),
  step: Type.Union([
    Type.Literal('preparing'),
    Type.Literal('prepared'),
    Type.Literal('precopied'),
    Type.Literal('switched'),
    Type.Literal('restored'),
    Type.Literal('released'),
    Type.Literal('cleaned'),
    Type.Literal('failed'),
  ]),
  error: Nullable(Type.Object({ code: Type.String(), message: Type.String() })),
  figures: MigrationFigures,
})
export type MigrationStep = Static<typeof MigrationStep>

export const ObservedContainer = Type.Object({
  container: Type.String(),
  epoch: Type.Integer(),
  /** checkpointed: frozen, dumped, waits for the outcome. restored: restored from a checkpoint, frozen, waits for it. */
  state: Type.Union([
    Type.Literal('created'),
    Type.Literal('running'),
    Type.Literal('frozen'),
    Type.Literal('checkpointed'),
    Type.Literal('restored'),
    Type.Literal('stopped'),
    Type.Literal('failed'),
  ]),
  /** Revision of the assignment this reflects; 0 when none was seen yet. */
  revision: Type.Integer(),
  /** Whether its limits are those of that assignment; missing: an older agent, which doesn't say. */
  configured: Type.Optional(Type.Boolean()),
  initPid: Nullable(Type.Integer()),
  startedAtMs: Nullable(Type.Integer()),
  starts: Type.Integer(),
  message: Nullable(Type.String()),
  errorCode: Nullable(Type.String()),
  memoryBytes: Type.Integer(),
  cpuUsec: Type.Integer(),
  memory: Type.Optional(MemoryPressure),
  /** Its writable layer, and how much of it is written a second; missing: not measured yet. */
  diskBytes: Type.Optional(Type.Integer({ minimum: 0 })),
  dirtyBytesPerS: Type.Optional(Type.Integer({ minimum: 0 })),
  /** Missing: nobody looks at it, or it has yet to be looked at. */
  firstBoot: Type.Optional(FirstBootOutcome),
  /** It runs only under the host's lease, which names it; missing: an older agent, or it needs none. */
  leased: Type.Optional(Type.Boolean()),
})
export type ObservedContainer = Static<typeof ObservedContainer>

export const ImageTaskResult = Type.Object({
  operation: Type.String(),
  state: Type.Union([Type.Literal('running'), Type.Literal('done'), Type.Literal('failed')]),
  message: Type.String(),
  image: Nullable(
    Type.Object({
      digest: Type.String(),
      name: Type.String(),
      sizeBytes: Type.Integer(),
      init: Type.Array(Type.String()),
      properties: Type.Optional(ImageProperties),
    }),
  ),
  error: Nullable(Type.Object({ code: Type.String(), message: Type.String() })),
})
export type ImageTaskResult = Static<typeof ImageTaskResult>

const HostPressure = Type.Object({
  memoryUsedBytes: Type.Integer({ description: 'of the capacity; page cache that can be dropped is not used' }),
  frozen: Type.Array(Type.String(), { description: 'containers that were frozen instead of killed for memory' }),
})

/** Agent → all controllers on subjects.reports every completeReportMs, when one is wanted, and when what HostChanges can't say has changed. */
export const HostReport = Type.Object({
  cluster: Type.String(),
  host: Type.String(),
  /** New at each start of the agent (its start time in ms): a later session replaces an earlier one. */
  session: Type.Integer(),
  sequence: Type.Integer(),
  address: Type.String(),
  grpcPort: Type.Integer(),
  streamPort: Type.Integer(),
  capacity: Resources,
  used: Resources,
  features: HostFeatures,
  images: Type.Array(Type.String()),
  engineUp: Type.Boolean(),
  /** How short of memory the machine is, by its own measure; missing: it doesn't measure. */
  pressure: Type.Optional(HostPressure),
  /** Layers of containers that have left; missing: an older agent, which keeps none. */
  leftovers: Type.Optional(
    Type.Array(Type.Object({ container: Type.String(), bytes: Type.Integer({ minimum: 0 }) }), { maxItems: 1024 }),
  ),
  /** Directories of volumes; missing: an older agent, which has none. */
  volumes: Type.Optional(Type.Array(VolumeCopy)),
  containers: Type.Array(ObservedContainer),
  migrations: Type.Array(MigrationStep),
  imageTasks: Type.Array(ImageTaskResult),
  snapshots: Type.Optional(Type.Array(SnapshotResult)),
})
export type HostReport = Static<typeof HostReport>

/** Agent → all controllers on subjects.reports every heartbeatMs, and at once when something changes: how a report made now would differ. */
export const HostChanges = Type.Object({
  cluster: Type.String(),
  host: Type.String(),
  /** Sequence of the last report, in the same session. */
  since: Type.Integer(),
  session: Type.Integer(),
  sequence: Type.Integer(),
  used: Resources,
  engineUp: Type.Boolean(),
  /** Missing: it doesn't measure, or an older agent, whose complete reports say it. */
  pressure: Type.Optional(HostPressure),
  /** Those that are new or different, but for what they use. */
  containers: Type.Array(ObservedContainer),
  /** Containers that are not there any more. */
  gone: Type.Array(Type.String()),
  /** Those that are new or may be different. One that was forgotten stays until the next report. */
  migrations: Type.Array(MigrationStep),
  imageTasks: Type.Array(ImageTaskResult),
  snapshots: Type.Array(SnapshotResult),
})
export type HostChanges = Static<typeof HostChanges>

/** Controller → all agents on subjects.reportsWanted: it has no report that the changes it hears are about. */
export const ReportsWanted = Type.Object({
  cluster: Type.String(),
  /** Missing: every host's. */
  host: Type.Optional(Type.String()),
})
export type ReportsWanted = Static<typeof ReportsWanted>

/** Agent → leader, request on subjects.pull; the leader answers with a complete AssignmentBatch or an ErrorBody. */
export const PullRequest = Type.Object({
  cluster: Type.String(),
  host: Type.String(),
  session: Type.Integer(),
  /** It wants to know the addresses of the other hosts. */
  hosts: Type.Optional(Type.Boolean()),
})
export type PullRequest = Static<typeof PullRequest>

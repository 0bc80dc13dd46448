// The entries of the log: each one is a decision or an observation that was worth committing. Everything that is not
// deterministic (time, ids, random seeds, placements) was put in by the proposer. Decoding validates, since an entry may
// come from another version of the controller; one that doesn't fit is refused by every replica alike.

import {
  ArchiveOrigin,
  Container,
  Host,
  HostSetRequest,
  Image,
  ImageProperties,
  ImageSetRequest,
  ImageSource,
  Leave,
  Migration,
  MigrationFigures,
  MoveTerms,
  Name,
  Operation,
  Placement,
  PolicyChange,
  ProfileRequest,
  RebalancePlanView,
  RebalanceRecord,
  SetRequest,
  Snapshot,
  VolumeRequest,
} from '@drover/protocol'
import { type Static, Type } from '@drover/schema'
import { ContainerImported, CopyRefreshed, ExportRequested, RebuildRequested } from './disk-entries.ts'
import { entry, launchProperties, OperationId } from './entry-parts.ts'
import { joinEntries } from './join-entries.ts'

const ErrorFacts = Type.Object({ code: Type.String(), message: Type.String() })

/** A host's committed part, from the first report of its agent and whenever it differs from what was committed. */
export const HostObserved = entry('HostObserved', {
  host: Type.Object({
    name: Host.properties.name,
    address: Host.properties.address,
    grpcPort: Host.properties.grpcPort,
    streamPort: Host.properties.streamPort,
    capacity: Host.properties.capacity,
    features: Host.properties.features,
    images: Host.properties.images,
  }),
})
/** The host's agent went silent, or was heard again. */
export const HostSilenceChanged = entry('HostSilenceChanged', { host: Name, silent: Type.Boolean() })
/** A silent host counts as lost: what may be is started elsewhere. `sure`: somebody vouches that it is dead. */
export const HostLost = entry('HostLost', {
  host: Name,
  sure: Type.Boolean(),
  fresh: Type.Optional(Type.Boolean()),
  operation: Type.Optional(OperationId),
})
/** A container of a lost host begins anew elsewhere. */
export const ContainerHealed = entry('ContainerHealed', {
  operation: OperationId,
  container: Type.String({ description: 'id' }),
  from: Name,
  epoch: Type.Integer(),
  destination: Name,
  placement: Placement,
})
/** cordon, uncordon, restore: done as soon as applied. */
export const HostCordonRequested = entry('HostCordonRequested', {
  operation: OperationId,
  kind: Type.Union([Type.Literal('cordon'), Type.Literal('uncordon'), Type.Literal('restore')]),
  host: Name,
  /** Of a restore: what its last evacuation moved away comes back, so many at once. */
  bringBack: Type.Optional(Type.Integer({ minimum: 1 })),
})
/** Labels, taints, pool and place of a host. */
export const HostSet = entry('HostSet', { operation: OperationId, host: Name, change: HostSetRequest })
/** Pools, projects' quotas, rebalancing. */
export const PolicyChanged = entry('PolicyChanged', { operation: OperationId, change: PolicyChange })
export const ContainerLaunched = entry('ContainerLaunched', { operation: OperationId, ...launchProperties })
export const PowerRequested = entry('PowerRequested', {
  operation: OperationId,
  kind: Type.Union([
    Type.Literal('start'),
    Type.Literal('stop'),
    Type.Literal('restart'),
    Type.Literal('freeze'),
    Type.Literal('thaw'),
    Type.Literal('delete'),
  ]),
  container: Type.String({ description: 'name' }),
  stopTimeoutMs: Type.Union([Type.Integer(), Type.Null()]),
  parent: Type.Optional(OperationId),
})
/** Stopped to make room for the launch `parent`, which is more important. */
export const PreemptionRequested = entry('PreemptionRequested', {
  operation: OperationId,
  container: Type.String({ description: 'name' }),
  parent: OperationId,
})
/** One that was preempted starts again where its disk is. */
export const ContainerResumed = entry('ContainerResumed', {
  operation: OperationId,
  container: Type.String({ description: 'id' }),
  host: Name,
  epoch: Type.Integer(),
})
/** Other limits or requests for a container, running or not. */
export const SetRequested = entry('SetRequested', {
  operation: OperationId,
  container: Type.String({ description: 'name' }),
  change: SetRequest,
})
/** Another name for the same container; done as soon as applied, its host follows. */
export const ContainerRenamed = entry('ContainerRenamed', {
  operation: OperationId,
  container: Type.String({ description: 'name until now' }),
  name: Name,
})
/** A snapshot: of the disk, or with `memory` of the running processes too. */
export const SnapshotRequested = entry('SnapshotRequested', {
  operation: OperationId,
  container: Type.String({ description: 'name' }),
  name: Name,
  memory: Type.Boolean(),
  expiresAtMs: Snapshot.properties.expiresAtMs,
  scheduled: Type.Boolean(),
})
export const SnapshotTaken = entry('SnapshotTaken', {
  operation: OperationId,
  sizeBytes: Type.Integer(),
  figures: MigrationFigures,
})
export const SnapshotRestoreRequested = entry('SnapshotRestoreRequested', {
  operation: OperationId,
  container: Type.String({ description: 'name' }),
  name: Name,
  start: Type.Boolean(),
})
export const SnapshotRestored = entry('SnapshotRestored', { operation: OperationId, figures: MigrationFigures })
export const SnapshotDeleteRequested = entry('SnapshotDeleteRequested', {
  operation: OperationId,
  container: Type.String({ description: 'name' }),
  name: Name,
})
export const SnapshotsExpired = entry('SnapshotsExpired', { container: Type.String(), names: Type.Array(Name) })
/** A new container with the disk of another one. */
export const ContainerCopied = entry('ContainerCopied', {
  operation: OperationId,
  container: Type.String({ description: 'name of the one that is copied' }),
  snapshot: Type.Union([Name, Type.Null()]),
  name: Name,
  start: Type.Boolean(),
  host: Name,
  placement: Placement,
  machineId: ContainerLaunched.properties.machineId,
  network: ContainerLaunched.properties.network,
  network6: ContainerLaunched.properties.network6,
  gateway: ContainerLaunched.properties.gateway,
})
/** What the host that may run the container says about it. */
const Observation = {
  container: Type.String(),
  host: Name,
  epoch: Type.Integer(),
  state: Type.Union([
    Type.Literal('pending'),
    Type.Literal('running'),
    Type.Literal('stopped'),
    Type.Literal('frozen'),
    Type.Literal('failed'),
  ]),
  message: Container.properties.message,
  initPid: Container.properties.initPid,
  startedAtMs: Container.properties.startedAtMs,
  starts: Container.properties.starts,
  /** Missing in older entries, and where nobody watches it. */
  memory: Container.properties.memory,
  firstBoot: Container.properties.firstBoot,
  leased: Type.Optional(Type.Boolean()),
}
export const ContainerObserved = entry('ContainerObserved', Observation)
/** The host no longer has anything of a container that is being deleted. */
export const ContainerDeleted = entry('ContainerDeleted', { container: Type.String() })
export const OperationAdvanced = entry('OperationAdvanced', {
  operation: OperationId,
  phase: Type.String(),
  progress: Operation.properties.progress,
})
export const OperationEnded = entry('OperationEnded', {
  operation: OperationId,
  state: Type.Union([Type.Literal('done'), Type.Literal('failed'), Type.Literal('cancelled')]),
  message: Type.String(),
  error: Type.Union([ErrorFacts, Type.Null()]),
  figures: MigrationFigures,
  /** Of a move: how the container is where it went, which would else be an entry of its own. */
  observed: Type.Optional(Type.Object(Observation)),
})
export const CancelRequested = entry('CancelRequested', { operation: OperationId })
export const MoveStarted = entry('MoveStarted', {
  operation: OperationId,
  container: Type.String({ description: 'name' }),
  destination: Name,
  mode: Migration.properties.mode,
  placement: Placement,
  parent: Type.Union([OperationId, Type.Null()]),
  /** Why, for the events; missing: a user asked for it. */
  reason: Type.Optional(Type.String()),
  /** Beyond cooldowns and quiet hours: a host was short of memory. */
  urgent: Type.Optional(Type.Boolean()),
  /** As its user wants it done. */
  terms: Type.Optional(MoveTerms),
  /** It prepares at once when nobody stands in line and there is a place between any two hosts; missing: it stands in line first. */
  mayPrepare: Type.Optional(Type.Boolean()),
})
export const MigrationAdvanced = entry('MigrationAdvanced', {
  operation: OperationId,
  phase: Type.Union([
    Type.Literal('preparing'),
    Type.Literal('precopying'),
    Type.Literal('switching'),
    Type.Literal('cleaning'),
  ]),
  figures: MigrationFigures,
})
/** Committed and Aborted decide a migration: the first one applied wins, the other is refused. */
export const MigrationCommitted = entry('MigrationCommitted', { operation: OperationId, figures: MigrationFigures })
export const MigrationAborted = entry('MigrationAborted', {
  operation: OperationId,
  error: ErrorFacts,
  figures: MigrationFigures,
})
export const EvacuationStarted = entry('EvacuationStarted', {
  operation: OperationId,
  host: Name,
  parallel: Type.Integer({ minimum: 1 }),
  deadlineMs: Type.Optional(Type.Integer({ minimum: 1, description: 'from `atMs`' })),
  mayMakeRoom: Type.Optional(Type.Boolean()),
  leave: Type.Optional(Leave),
  leaveOf: Type.Optional(Type.Record(Name, Leave)),
  /** Why, when the cluster itself wants it. */
  reason: Type.Optional(Type.String()),
})
/** One of many moves that are planned together. */
export const PlannedMove = Type.Object({
  container: Type.String(),
  name: Name,
  /** null: nowhere, with the reason. */
  destination: Type.Union([Name, Type.Null()]),
  reason: Type.String(),
  /** Missing: the host that is emptied. */
  from: Type.Optional(Name),
  /** Missing: live, or cold when it is stopped. */
  how: Type.Optional(Type.Union([Leave, Type.Literal('preempt')])),
  /** Name of the container that it makes room for on its host. */
  makesRoomFor: Type.Optional(Name),
  urgent: Type.Optional(Type.Boolean()),
})
export type PlannedMove = Static<typeof PlannedMove>
/** Where each container is to go, planned together before the first move, in the order of beginning. */
export const EvacuationPlanned = entry('EvacuationPlanned', {
  operation: OperationId,
  plan: Type.Array(PlannedMove),
  etaMs: Type.Optional(Type.Number({ description: 'from `atMs`, as estimated' })),
})
/** A launch for which others have to move first. */
export const RoomPlanned = entry('RoomPlanned', {
  operation: OperationId,
  launch: Type.Object(launchProperties),
  moves: Type.Array(PlannedMove, { minItems: 1 }),
  parallel: Type.Integer({ minimum: 1 }),
})
/** The hook is to be told: machines are wanted, one is no longer needed, or one that was powered down is. */
export const MachinesAsked = entry('MachinesAsked', {
  operation: OperationId,
  /** A shape, or a host. */
  target: Name,
  event: Type.Union([Type.Literal('provision'), Type.Literal('release'), Type.Literal('power-on')]),
  facts: Type.Record(Type.String(), Type.Unknown()),
  reason: Type.String(),
})
/** A plan of rebalancing worth keeping. null: a dry run, or nothing to move. */
export const RebalancePlanned = entry('RebalancePlanned', {
  operation: Type.Union([OperationId, Type.Null()]),
  trigger: RebalanceRecord.properties.trigger,
  active: Type.Boolean(),
  plan: RebalancePlanView,
  moves: Type.Array(PlannedMove),
  parallel: Type.Integer({ minimum: 1 }),
})
export const ImageBuildStarted = entry('ImageBuildStarted', {
  operation: OperationId,
  recipe: Type.String(),
  name: Name,
  host: Name,
  properties: Type.Optional(ImageProperties),
})
/** An image is to be made, on the host where what it is made of is. */
export const ImageMakingStarted = entry('ImageMakingStarted', {
  operation: OperationId,
  kind: Type.Union([Type.Literal('image-import'), Type.Literal('publish')]),
  name: Name,
  host: Name,
  source: ImageSource,
  properties: ImageProperties,
  origin: Type.Optional(ArchiveOrigin),
})
/** Another name, other properties, or gone; done as soon as applied. Hosts remove what no name and no container stands for. */
export const ImageChanged = entry('ImageChanged', {
  operation: OperationId,
  name: Name,
  change: Type.Union([Type.Literal('remove'), ImageSetRequest]),
})
/** The build that `operation` stands for has ended well. */
export const ImageRegistered = entry('ImageRegistered', { operation: OperationId, image: Image })

/** Done as soon as applied; its containers follow. */
export const ProfileChanged = entry('ProfileChanged', {
  operation: OperationId,
  name: Name,
  action: Type.Union([Type.Literal('create'), Type.Literal('change'), Type.Literal('remove')]),
  request: ProfileRequest,
})
/** Done as soon as applied. */
export const VolumeChanged = entry('VolumeChanged', {
  operation: OperationId,
  name: Name,
  action: Type.Union([Type.Literal('create'), Type.Literal('delete')]),
  request: VolumeRequest,
})
/** A container gets what its profiles say. */
export const ProfilesReached = entry('ProfilesReached', { container: Type.String({ description: 'id' }) })

export const Entry = Type.Union([
  HostObserved,
  HostSilenceChanged,
  HostLost,
  ContainerHealed,
  HostCordonRequested,
  HostSet,
  PolicyChanged,
  ContainerLaunched,
  RoomPlanned,
  PowerRequested,
  PreemptionRequested,
  ContainerResumed,
  SetRequested,
  ContainerRenamed,
  SnapshotRequested,
  SnapshotTaken,
  SnapshotRestoreRequested,
  SnapshotRestored,
  SnapshotDeleteRequested,
  SnapshotsExpired,
  ContainerCopied,
  CopyRefreshed,
  RebuildRequested,
  ExportRequested,
  ContainerImported,
  ContainerObserved,
  ContainerDeleted,
  OperationAdvanced,
  OperationEnded,
  CancelRequested,
  MoveStarted,
  MigrationAdvanced,
  MigrationCommitted,
  MigrationAborted,
  EvacuationStarted,
  EvacuationPlanned,
  MachinesAsked,
  RebalancePlanned,
  ImageBuildStarted,
  ImageMakingStarted,
  ImageChanged,
  ImageRegistered,
  ProfileChanged,
  ProfilesReached,
  VolumeChanged,
  ...joinEntries,
])
export type Entry = Static<typeof Entry>
export type EntryOf<T extends Entry['type']> = Extract<Entry, { type: T }>

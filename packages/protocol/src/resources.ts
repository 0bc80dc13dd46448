// The resources of the committed state, as TypeBox schemas: one source for static types, API validation and OpenAPI.
// Units are in the names; an absent value is null, never missing.

import { type Static, type TLiteral, Type } from '@drover/schema'
import { Devices } from './devices.ts'
import { FirstBoot, FirstBootOutcome } from './first-boot.ts'
import { ImageOrigin, ImageProperties } from './image-origin.ts'
import { Rlimits, Sysctls } from './kernel-settings.ts'
import { Autostart, Lifecycle, Limits, ProfileNames, RestartPolicy, StopPolicy } from './limits.ts'
import { MemoryPressure, OomKills } from './memory-pressure.ts'
import { MoveTerms } from './move-options.ts'
import { namePattern } from './names.ts'
import { Nullable } from './nullable.ts'
import { ProfileSettings } from './profiles.ts'
import { hostSettingProperties, Scheduling } from './scheduling.ts'
import { Security } from './security.ts'
import { Snapshot, SnapshotPolicy } from './snapshots.ts'

export * from './devices.ts'
export * from './first-boot.ts'
export * from './first-boot-plan.ts'
export * from './first-boot-problem.ts'
export type { BootUser } from './first-boot-users.ts'
export * from './image-origin.ts'
export * from './kernel-settings.ts'
export * from './limits.ts'
export * from './memory-pressure.ts'
export * from './names.ts'
export * from './profiles.ts'
export * from './scheduling.ts'
export * from './security.ts'
export * from './snapshots.ts'
export * from './volumes.ts'

/** A name of a container, host, image or group: a DNS label, so that it can be a hostname. */
export const Name = Type.String({ pattern: namePattern, description: 'a DNS label' })

/** A vector of what a container asks for or a host has. */
export const Resources = Type.Object(
  {
    cpuMilli: Type.Integer({ minimum: 0, description: 'thousandths of a core' }),
    memoryBytes: Type.Integer({ minimum: 0 }),
    diskBytes: Type.Integer({ minimum: 0 }),
    pids: Type.Integer({ minimum: 0 }),
  },
  { additionalProperties: false },
)
export type Resources = Static<typeof Resources>

/** What a host offers: as many as a 64-bit kernel can have. A container's is a limit that it hardly comes near, so that hosts fill up by memory. */
export const pidsOfHost = 4_194_304

export const ContainerSpec = Type.Object(
  {
    image: Type.String({ description: 'image digest, sha256:<hex>' }),
    imageName: Name,
    requests: Resources,
    limits: Type.Optional(Limits),
    restart: Type.Optional(RestartPolicy),
    autostart: Type.Optional(Autostart),
    stop: Type.Optional(StopPolicy),
    snapshots: Type.Optional(SnapshotPolicy),
    scheduling: Type.Optional(Scheduling),
    devices: Type.Optional(Devices),
    firstBoot: Type.Optional(FirstBoot),
    security: Type.Optional(Security),
    sysctls: Type.Optional(Sysctls),
    rlimits: Type.Optional(Rlimits),
    lifecycle: Type.Optional(Lifecycle),
    /** Missing: none. */
    profiles: Type.Optional(ProfileNames),
    /** What was said of it alone, beside its profiles. */
    own: Type.Optional(ProfileSettings),
    init: Type.Array(Type.String(), { minItems: 1, description: 'path and arguments of PID 1' }),
    environment: Type.Record(Type.String(), Type.String()),
    labels: Type.Record(Type.String(), Type.String()),
  },
  { additionalProperties: false },
)
export type ContainerSpec = Static<typeof ContainerSpec>

/** What must be the same wherever the container runs; allocated cluster-wide when the launch is applied. */
export const Identity = Type.Object(
  {
    serial: Type.Integer({ minimum: 1, description: 'unique for ever; names the host-side veth (dv<serial>)' }),
    uidBase: Type.Integer({
      description:
        'first host uid and gid of the 65,536 of its user namespace; a privileged container has none, and uses 0',
    }),
    mac: Type.String(),
    ipv4: Type.String({ description: 'address with prefix length, e.g. 10.77.1.5/16' }),
    /** Absent or null: the container has IPv4 only. */
    ipv6: Type.Optional(Nullable(Type.String({ description: 'address with prefix length, e.g. fd64::1/64' }))),
    gateway: Nullable(Type.String()),
    machineId: Type.String({ description: '32 hex digits' }),
  },
  { additionalProperties: false },
)
export type Identity = Static<typeof Identity>

export const PowerState = Type.Union([Type.Literal('running'), Type.Literal('stopped'), Type.Literal('frozen')])
export type PowerState = Static<typeof PowerState>

export const ContainerState = Type.Union(
  ['pending', 'running', 'stopped', 'frozen', 'migrating', 'deleting', 'failed', 'unknown'].map((s) =>
    Type.Literal(s),
  ) as [
    TLiteral<'pending'>,
    TLiteral<'running'>,
    TLiteral<'stopped'>,
    TLiteral<'frozen'>,
    TLiteral<'migrating'>,
    TLiteral<'deleting'>,
    TLiteral<'failed'>,
    TLiteral<'unknown'>,
  ],
)
export type ContainerState = Static<typeof ContainerState>

/** Why one host was chosen and why each other one was not: the scheduler's own words, kept with the container. */
export const Placement = Type.Object({
  chosen: Type.String(),
  reason: Type.String({ description: 'one sentence for a person' }),
  hosts: Type.Array(
    Type.Object({
      host: Type.String(),
      feasible: Type.Boolean(),
      refusal: Nullable(Type.String({ description: 'a named reason, e.g. INSUFFICIENT_MEMORY' })),
      detail: Nullable(Type.String({ description: 'value and limit, e.g. needs 64 MiB, 12 MiB free' })),
      score: Nullable(Type.Number({ description: 'higher is better; null when refused' })),
    }),
  ),
})
export type Placement = Static<typeof Placement>

/** It was stopped to make room for a more important one; until it starts again it asks for nothing but its disk. */
export const Preempted = Type.Object({
  by: Type.String({ description: 'name of the container that needed the room' }),
  priority: Type.Integer({ description: 'of that one' }),
  atMs: Type.Integer({ description: 'when it had stopped' }),
  resumes: Type.Boolean({
    description: 'it starts again by itself when there is room; false: its user stopped it since',
  }),
  notBeforeMs: Type.Integer({ description: 'when that is tried next' }),
  tries: Type.Integer({ description: 'how often it has failed to start again' }),
})
export type Preempted = Static<typeof Preempted>

export const Container = Type.Object({
  id: Type.String({ description: 'c<serial>; never reused' }),
  name: Name,
  spec: ContainerSpec,
  identity: Identity,
  desired: PowerState,
  deleting: Type.Boolean(),
  host: Type.String({ description: 'the only host that may run it, under `epoch`' }),
  epoch: Type.Integer({ minimum: 1 }),
  state: ContainerState,
  message: Nullable(Type.String({ description: 'why it is in this state, when that needs saying' })),
  initPid: Nullable(Type.Integer({ description: 'PID of its init in the host’s PID namespace' })),
  startedAtMs: Nullable(Type.Integer({ description: 'when its init started; a live move does not change it' })),
  starts: Type.Integer({ description: 'how often its init was started' }),
  memory: Type.Optional(MemoryPressure),
  /** Missing: none. */
  oomKills: Type.Optional(OomKills),
  firstBoot: Type.Optional(FirstBootOutcome),
  preempted: Type.Optional(Preempted),
  operation: Nullable(Type.String({ description: 'the operation under way on it, if any' })),
  placement: Placement,
  snapshots: Type.Optional(Type.Array(Snapshot, { description: 'oldest first' })),
  createdAtMs: Type.Integer(),
  revision: Type.Integer({ description: 'log index of its last change' }),
})
export type Container = Static<typeof Container>

/** What a host's kernel and tools can do; compared before anything is frozen. */
export const HostFeatures = Type.Object({
  engine: Type.Union([Type.Literal('native'), Type.Literal('simulated')]),
  kernel: Type.String(),
  architecture: Type.String(),
  cgroup: Type.Union([Type.Literal('v2'), Type.Literal('hybrid'), Type.Literal('none')]),
  criu: Type.Object({
    usable: Type.Boolean({ description: 'passed the self-test: a real dump and restore with an inet socket' }),
    path: Nullable(Type.String()),
    version: Nullable(Type.String()),
    reason: Type.String({ description: 'why this one is used, or why none is' }),
  }),
  cpuFlags: Type.Optional(Type.Array(Type.String(), { description: 'instruction sets that programs can see' })),
  cores: Type.Optional(
    Type.Integer({ minimum: 1, description: 'processors of the machine, whatever it offers of them' }),
  ),
  protocolVersion: Type.Optional(Type.Integer()),
  diskLimits: Type.Optional(
    Type.Boolean({ description: 'the file system of its disks holds containers to a limit, by project quotas' }),
  ),
  limits: Type.Optional(
    Type.Object(
      {
        bridgePorts: Type.Optional(Type.Integer({ minimum: 0 })),
        neighbourEntries: Type.Optional(Type.Integer({ minimum: 0 })),
      },
      { description: 'what its kernel gives so many of, one for each container' },
    ),
  ),
})
export type HostFeatures = Static<typeof HostFeatures>

export const Host = Type.Object({
  name: Name,
  address: Type.String({ description: 'IPv4 address other parts reach its agent at' }),
  grpcPort: Type.Integer(),
  streamPort: Type.Integer({ description: 'TCP port of the direct agent-to-agent streams' }),
  capacity: Resources,
  features: HostFeatures,
  cordoned: Type.Boolean({ description: 'takes no new containers' }),
  ...hostSettingProperties,
  joinedAtMs: Type.Integer(),
  images: Type.Array(Type.String({ description: 'digests it holds' })),
  revision: Type.Integer(),
})
export type Host = Static<typeof Host>

/** A host as the API shows it: the committed part and what its agent last reported. */
export const HostView = Type.Object({
  ...Host.properties,
  status: Type.Union([Type.Literal('ready'), Type.Literal('cordoned'), Type.Literal('silent'), Type.Literal('lost')], {
    description: 'silent: no heartbeat for 5 s; lost: for so long that what may be is started elsewhere',
  }),
  lastSeenMs: Nullable(Type.Integer()),
  requested: Resources,
  used: Nullable(Resources),
  containers: Type.Integer(),
  leftovers: Type.Optional(
    Type.Object(
      { containers: Type.Integer(), bytes: Type.Integer() },
      {
        description:
          'what is kept here of containers that have left, to send less when they come back; given up for others',
      },
    ),
  ),
  limit: Type.Optional(
    Nullable(
      Type.Object({
        resource: Type.String({ description: 'what runs out first' }),
        share: Type.Number({ description: 'of what may be asked for, overcommit included' }),
        free: Type.Number(),
      }),
    ),
  ),
})
export type HostView = Static<typeof HostView>

/** What an image is made of, when it isn't built: an archive that was sent to the host, or a container that is there. */
export const ImageSource = Type.Union([
  Type.Object({
    kind: Type.Literal('upload'),
    upload: Type.String(),
    sha256: Type.String({ description: 'of the whole archive' }),
    init: Nullable(Type.Array(Type.String())),
  }),
  Type.Object({ kind: Type.Literal('container'), container: Type.String(), snapshot: Nullable(Type.String()) }),
])
export type ImageSource = Static<typeof ImageSource>

export const Image = Type.Object({
  digest: Type.String(),
  name: Name,
  sizeBytes: Type.Integer(),
  init: Type.Array(Type.String()),
  createdAtMs: Type.Integer(),
  builtOn: Type.String(),
  properties: Type.Optional(ImageProperties),
  /** Missing: nobody said, or an older version made it. */
  origin: Type.Optional(ImageOrigin),
})
export type Image = Static<typeof Image>

export const OperationKind = Type.Union([
  Type.Literal('launch'),
  Type.Literal('start'),
  Type.Literal('stop'),
  Type.Literal('restart'),
  Type.Literal('freeze'),
  Type.Literal('thaw'),
  Type.Literal('set'),
  Type.Literal('rename'),
  Type.Literal('rebuild'),
  Type.Literal('delete'),
  Type.Literal('move'),
  Type.Literal('evacuate'),
  Type.Literal('restore'),
  Type.Literal('cordon'),
  Type.Literal('uncordon'),
  Type.Literal('image-build'),
  Type.Literal('image-import'),
  Type.Literal('image-set'),
  Type.Literal('profile-set'),
  Type.Literal('volume-set'),
  Type.Literal('publish'),
  Type.Literal('rebalance'),
  Type.Literal('machines'),
  Type.Literal('host-set'),
  Type.Literal('policy'),
  Type.Literal('snapshot'),
  Type.Literal('snapshot-restore'),
  Type.Literal('snapshot-delete'),
  Type.Literal('copy'),
  Type.Literal('export'),
  Type.Literal('import'),
  Type.Literal('heal'),
  Type.Literal('host-lost'),
  Type.Literal('host-token'),
  Type.Literal('host-remove'),
  Type.Literal('preempt'),
])
export type OperationKind = Static<typeof OperationKind>

export const MigrationPhase = Type.Union([
  Type.Literal('planned'),
  Type.Literal('preparing'),
  Type.Literal('precopying'),
  Type.Literal('switching'),
  Type.Literal('committed'),
  Type.Literal('aborted'),
  Type.Literal('cleaning'),
  Type.Literal('done'),
])
export type MigrationPhase = Static<typeof MigrationPhase>

/** live: it runs on. frozen: with its memory, but without running meanwhile. cold: stopped, and started on the other host. */
export const MigrationMode = Type.Union([Type.Literal('live'), Type.Literal('frozen'), Type.Literal('cold')])
export type MigrationMode = Static<typeof MigrationMode>

/** Milliseconds and bytes of one live migration, each measured by the side that did it. */
export const MigrationFigures = Type.Record(Type.String(), Type.Number())
export type MigrationFigures = Static<typeof MigrationFigures>

export const Migration = Type.Object({
  container: Type.String(),
  source: Type.String(),
  destination: Type.String(),
  mode: MigrationMode,
  phase: MigrationPhase,
  nextEpoch: Type.Integer(),
  terms: Type.Optional(MoveTerms),
  /** As in the assignment. */
  precopiesAtOnce: Type.Optional(Type.Boolean()),
  figures: MigrationFigures,
})
export type Migration = Static<typeof Migration>

export const Operation = Type.Object({
  id: Type.String(),
  kind: OperationKind,
  target: Type.String({ description: 'name of the container, host or image it works on' }),
  state: Type.Union([Type.Literal('running'), Type.Literal('done'), Type.Literal('failed'), Type.Literal('cancelled')]),
  phase: Type.String({ description: 'for a person; for moves a MigrationPhase' }),
  progress: Type.Object({ done: Type.Integer(), total: Type.Integer(), message: Type.String() }),
  cancelRequested: Type.Boolean(),
  parent: Nullable(Type.String({ description: 'the operation that started this one' })),
  error: Nullable(Type.Object({ code: Type.String(), message: Type.String() })),
  migration: Nullable(Migration),
  parameters: Type.Record(Type.String(), Type.Unknown()),
  createdAtMs: Type.Integer(),
  updatedAtMs: Type.Integer(),
  endedAtMs: Nullable(Type.Integer()),
  revision: Type.Integer(),
})
export type Operation = Static<typeof Operation>

export const ClusterEvent = Type.Object({
  id: Type.Integer({ description: 'log index of the entry that caused it' }),
  atMs: Type.Integer(),
  kind: Type.String({ description: 'e.g. container.running, migration.committed, host.joined, operation.done' }),
  target: Type.String(),
  message: Type.String(),
  operation: Nullable(Type.String()),
})
export type ClusterEvent = Static<typeof ClusterEvent>

export const ClusterStatus = Type.Object({
  cluster: Type.String(),
  version: Type.String(),
  controller: Type.String({ description: 'the one that answers' }),
  leader: Nullable(Type.String()),
  controllers: Type.Array(Type.Object({ name: Type.String(), address: Type.String(), leader: Type.Boolean() })),
  appliedIndex: Type.Integer(),
  hosts: Type.Integer(),
  hostsReady: Type.Integer(),
  containers: Type.Integer(),
  containersRunning: Type.Integer(),
  operationsRunning: Type.Integer(),
})
export type ClusterStatus = Static<typeof ClusterStatus>

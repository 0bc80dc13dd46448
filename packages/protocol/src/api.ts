// Bodies and paths of the HTTP API, version 1. Every write answers 202 with the Operation that carries it out, and takes
// an `Idempotency-Key` header: the same key gives the same operation, however often it is sent.

import { type Static, Type } from '@drover/schema'
import { uploadPattern } from './bulk.ts'
import { moveOptionProperties } from './move-options.ts'
import {
  ArchiveOrigin,
  AutostartChange,
  Devices,
  FirstBoot,
  ImageProperties,
  Leave,
  Lifecycle,
  Limits,
  Name,
  Operation,
  Placement,
  ProfileNames,
  type Resources,
  RestartPolicy,
  Rlimits,
  Scheduling,
  Security,
  SnapshotPolicy,
  StopPolicy,
  Sysctls,
} from './resources.ts'

export * from './paths.ts'
export * from './rebalance.ts'

export const LaunchRequest = Type.Object(
  {
    name: Name,
    image: Type.Optional(Name),
    host: Type.Optional(Name),
    address: Type.Optional(
      Type.String({
        pattern: '^\\d{1,3}(\\.\\d{1,3}){3}$',
        description: 'IPv4, free and in the network of the containers; default: one is given to it',
      }),
    ),
    address6: Type.Optional(
      Type.String({ maxLength: 39, pattern: '^[0-9a-fA-F:]+$', description: 'IPv6, in the /64 of the containers' }),
    ),
    mac: Type.Optional(
      Type.String({ pattern: '^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$', description: 'default: one is given to it' }),
    ),
    cpuMilli: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_024_000 })),
    memoryBytes: Type.Optional(Type.Integer({ minimum: 4 << 20 })),
    diskBytes: Type.Optional(Type.Integer({ minimum: 0 })),
    pids: Type.Optional(Type.Integer({ minimum: 1, maximum: 4_194_304 })),
    limits: Type.Optional(Limits),
    restart: Type.Optional(RestartPolicy),
    autostart: Type.Optional(AutostartChange),
    stop: Type.Optional(StopPolicy),
    snapshots: Type.Optional(SnapshotPolicy),
    devices: Type.Optional(Devices),
    firstBoot: Type.Optional(FirstBoot),
    security: Type.Optional(Security),
    sysctls: Type.Optional(Sysctls),
    rlimits: Type.Optional(Rlimits),
    lifecycle: Type.Optional(Lifecycle),
    profiles: Type.Optional(ProfileNames),
    scheduling: Type.Optional(Scheduling),
    makeRoom: Type.Optional(
      Type.Boolean({
        description:
          'when it fits nowhere, others may move live to make room, and those that may be are stopped; default true',
      }),
    ),
    start: Type.Optional(Type.Boolean({ description: 'false: it is made, and left stopped; default true' })),
    environment: Type.Optional(Type.Record(Type.String(), Type.String())),
    labels: Type.Optional(Type.Record(Type.String(), Type.String())),
  },
  { additionalProperties: false },
)
export type LaunchRequest = Static<typeof LaunchRequest>

/** Planned together, so that all of them find room where one after the other would not. */
export const LaunchesRequest = Type.Object(
  { launches: Type.Array(LaunchRequest, { minItems: 1, maxItems: 500 }) },
  { additionalProperties: false },
)
export type LaunchesRequest = Static<typeof LaunchesRequest>

/** What became of one launch of several; one of the two is null. */
export const LaunchOutcome = Type.Object({
  name: Name,
  operation: Type.Union([Operation, Type.Null()]),
  error: Type.Union([
    Type.Object({
      code: Type.String(),
      message: Type.String(),
      retryable: Type.Boolean(),
      context: Type.Record(Type.String(), Type.Unknown()),
    }),
    Type.Null(),
  ]),
})
export type LaunchOutcome = Static<typeof LaunchOutcome>

/** A launch that nobody has asked for: where would it go? */
export const ExplainRequest = Type.Object(
  { ...LaunchRequest.properties, name: Type.Optional(Name) },
  { additionalProperties: false },
)
export type ExplainRequest = Static<typeof ExplainRequest>

export const LaunchExplanation = Type.Object({
  host: Type.Union([Type.String(), Type.Null()]),
  placement: Placement,
  room: Type.Union(
    [
      Type.Object({
        host: Type.String(),
        moves: Type.Array(Type.Object({ container: Type.String(), from: Type.String(), to: Type.String() })),
        stops: Type.Optional(
          Type.Array(Type.Object({ container: Type.String(), host: Type.String(), priority: Type.Integer() }), {
            description: 'who would be stopped besides, since no moves are enough',
          }),
        ),
        reason: Type.String(),
      }),
      Type.Null(),
    ],
    { description: 'who would have to move or stop; null: it fits, or that would not help' },
  ),
})
export type LaunchExplanation = Static<typeof LaunchExplanation>

export const ContainerExplanation = Type.Object({
  name: Type.String(),
  host: Type.String(),
  placed: Placement,
  now: Type.Object(Placement.properties, { description: 'as if it were placed anew' }),
  lastMove: Type.Union([
    Type.Object({ from: Type.String(), to: Type.String(), atMs: Type.Integer(), reason: Type.String() }),
    Type.Null(),
  ]),
  preempted: Type.Optional(Type.String({ description: 'for whom it was stopped, and what it waits for' })),
})
export type ContainerExplanation = Static<typeof ContainerExplanation>

/** What a launch that says nothing gets: a small, mostly idle system. Memory and pids are its limits as well; CPU is only planned with. */
export const defaultRequests: Resources = {
  cpuMilli: 10,
  memoryBytes: 64 << 20,
  diskBytes: 1 << 30,
  pids: 1024,
}
/**
 * Most memory of a container of which nobody has said how much: enough for a package manager and services, and little enough that one
 * that leaks doesn't take its host down. What it is placed by stays small, since most of them are idle.
 */
export const usualMemoryLimitBytes = 1 << 30
export const defaultImageName = 'busybox'

export const MoveRequest = Type.Object(
  {
    host: Type.Optional(Name),
    mode: Type.Optional(Type.Union([Type.Literal('live'), Type.Literal('cold')])),
    ...moveOptionProperties,
  },
  { additionalProperties: false },
)
export type MoveRequest = Static<typeof MoveRequest>

export const RenameRequest = Type.Object({ name: Name }, { additionalProperties: false })
export type RenameRequest = Static<typeof RenameRequest>

/** A fresh disk, of its image as that is now or of another. */
export const RebuildRequest = Type.Object(
  {
    image: Type.Optional(Name),
    force: Type.Optional(Type.Boolean({ description: 'also when it runs: its processes are killed' })),
  },
  { additionalProperties: false },
)
export type RebuildRequest = Static<typeof RebuildRequest>

const evacuation = {
  parallel: Type.Optional(Type.Integer({ minimum: 1, maximum: 32 })),
  deadlineMs: Type.Optional(Type.Integer({ minimum: 1000, maximum: 7 * 86_400_000, description: 'from now' })),
  mayMakeRoom: Type.Optional(Type.Boolean({ description: 'others may be moved to make room' })),
  leave: Type.Optional(Leave),
  leaveOf: Type.Optional(Type.Record(Name, Leave, { maxProperties: 10_000, additionalProperties: false })),
}
export const EvacuateRequest = Type.Object(evacuation, { additionalProperties: false })
export type EvacuateRequest = Static<typeof EvacuateRequest>

/** What emptying these hosts would do; nothing is changed. */
export const EvacuationPlanRequest = Type.Object(
  { hosts: Type.Array(Name, { minItems: 1, maxItems: 1000 }), ...evacuation },
  { additionalProperties: false },
)
export type EvacuationPlanRequest = Static<typeof EvacuationPlanRequest>

const Text = Type.Union([Type.String(), Type.Null()])

/** Times are from the beginning, as estimated from the cluster's own moves. */
export const EvacuationPlanView = Type.Object({
  moves: Type.Array(
    Type.Object({
      container: Type.String(),
      from: Type.String(),
      to: Type.String(),
      how: Leave,
      makesRoomFor: Text,
      blackoutMs: Type.Number(),
      bytes: Type.Number(),
      startMs: Type.Number(),
      endMs: Type.Number(),
    }),
  ),
  stops: Type.Array(Type.String()),
  stays: Type.Array(
    Type.Object({
      container: Type.String(),
      host: Type.String(),
      wished: Type.Boolean(),
      reason: Type.String(),
      room: Type.Union([Type.String(), Type.Null()], { description: 'who would have to move to make room' }),
    }),
  ),
  hosts: Type.Array(
    Type.Object({
      host: Type.String(),
      leaves: Type.Integer(),
      stays: Type.Integer(),
      emptyMs: Type.Union([Type.Number(), Type.Null()]),
    }),
  ),
  etaMs: Type.Number(),
  meetsDeadline: Type.Boolean(),
})
export type EvacuationPlanView = Static<typeof EvacuationPlanView>

/** Somebody vouches that the host is dead: nothing of its containers runs there any more. */
export const HostLostRequest = Type.Object(
  {
    sure: Type.Literal(true),
    fresh: Type.Optional(
      Type.Boolean({ description: 'also what would wait for its disk begins again, from its image' }),
    ),
  },
  { additionalProperties: false },
)
export type HostLostRequest = Static<typeof HostLostRequest>

export const RestoreRequest = Type.Object(
  {
    bringBack: Type.Optional(Type.Boolean({ description: 'move back what its last evacuation moved away' })),
    parallel: Type.Optional(Type.Integer({ minimum: 1, maximum: 32 })),
  },
  { additionalProperties: false },
)
export type RestoreRequest = Static<typeof RestoreRequest>

export const ImageBuildRequest = Type.Object(
  {
    recipe: Type.Union([Type.Literal('busybox'), Type.Literal('debian')]),
    name: Type.Optional(Name),
    host: Type.Optional(Name),
    properties: Type.Optional(ImageProperties),
  },
  { additionalProperties: false },
)
export type ImageBuildRequest = Static<typeof ImageBuildRequest>

/** What was sent to a host (POST /v1/uploads, PUT its pieces) becomes an image. */
export const ImageImportRequest = Type.Object(
  {
    name: Name,
    upload: Type.String({ pattern: uploadPattern }),
    host: Name,
    sha256: Type.String({ pattern: '^[0-9a-f]{64}$', description: 'of all that was sent' }),
    init: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 4095 }), { minItems: 1, maxItems: 64 })),
    properties: Type.Optional(ImageProperties),
    origin: Type.Optional(ArchiveOrigin),
  },
  { additionalProperties: false },
)
export type ImageImportRequest = Static<typeof ImageImportRequest>

/** A container, or a snapshot of it, becomes an image of this name. */
export const PublishRequest = Type.Object(
  { image: Name, snapshot: Type.Optional(Name), properties: Type.Optional(ImageProperties) },
  { additionalProperties: false },
)
export type PublishRequest = Static<typeof PublishRequest>

/** Another name for it beside its own; properties, of which null takes one away. */
export const ImageSetRequest = Type.Object(
  {
    alias: Type.Optional(Name),
    properties: Type.Optional(
      Type.Record(
        Type.String({ pattern: '^[a-z0-9_.-]{1,64}$' }),
        Type.Union([Type.String({ maxLength: 1024 }), Type.Null()]),
        { additionalProperties: false, maxProperties: 64 },
      ),
    ),
  },
  { additionalProperties: false },
)
export type ImageSetRequest = Static<typeof ImageSetRequest>

/** A place on a host for what is sent to it. */
export const UploadRequest = Type.Object({ host: Type.Optional(Name) }, { additionalProperties: false })
export type UploadRequest = Static<typeof UploadRequest>
export const Upload = Type.Object({ upload: Type.String(), host: Type.String(), receivedBytes: Type.Integer() })
export type Upload = Static<typeof Upload>

export const StopRequest = Type.Object(
  { timeoutMs: Type.Optional(Type.Integer({ minimum: 0, maximum: 600_000 })) },
  { additionalProperties: false },
)
export type StopRequest = Static<typeof StopRequest>

// Snapshots of a container's disk, with or without its memory: what is committed about them, what is asked for, and what a host is told
// to do and says about it. They lie beside the container's disk and go where it goes.

import { type Static, Type } from '@drover/schema'
import { uploadPattern } from './bulk.ts'
import { namePattern } from './names.ts'
import { Nullable } from './nullable.ts'

const SnapshotName = Type.String({ pattern: namePattern, description: 'a DNS label' })

/** So many of one container; each is a tree of its own on its host. */
export const maxSnapshots = 64

export const Snapshot = Type.Object({
  name: SnapshotName,
  createdAtMs: Type.Integer(),
  expiresAtMs: Nullable(Type.Integer({ description: 'removed by itself after this' })),
  memory: Type.Boolean({ description: 'with the processes as they were, not the disk alone' }),
  scheduled: Type.Boolean({ description: 'made by the container’s schedule' }),
  sizeBytes: Type.Integer({ description: 'of its files; those that did not change since the one before are shared' }),
})
export type Snapshot = Static<typeof Snapshot>

/** What is done about snapshots by itself; null: nothing. Of a container that doesn't run none is taken by schedule. */
export const SnapshotPolicy = Type.Partial(
  Type.Object({
    scheduleMs: Nullable(
      Type.Integer({
        minimum: 60_000,
        maximum: 366 * 86_400_000,
        description: 'one in each such time, counted from 1970 UTC',
      }),
    ),
    expiryMs: Nullable(
      Type.Integer({ minimum: 1000, maximum: 100 * 366 * 86_400_000, description: 'of scheduled ones' }),
    ),
    keep: Nullable(
      Type.Integer({ minimum: 1, maximum: maxSnapshots, description: 'newest scheduled ones; older ones go' }),
    ),
    hook: Nullable(
      Type.String({
        minLength: 1,
        maxLength: 4096,
        description: 'shell command inside before any snapshot; if it fails, none is taken',
      }),
    ),
  }),
  { additionalProperties: false },
)
export type SnapshotPolicy = Static<typeof SnapshotPolicy>

export const SnapshotRequest = Type.Object(
  {
    name: Type.Optional(SnapshotName),
    memory: Type.Optional(Type.Boolean()),
    expiresInMs: Type.Optional(Type.Integer({ minimum: 1000, maximum: 100 * 365 * 86_400_000 })),
  },
  { additionalProperties: false },
)
export type SnapshotRequest = Static<typeof SnapshotRequest>

export const SnapshotRestoreRequest = Type.Object(
  { start: Type.Optional(Type.Boolean({ description: 'also when it runs: it is stopped, put back and started' })) },
  { additionalProperties: false },
)
export type SnapshotRestoreRequest = Static<typeof SnapshotRestoreRequest>

export const CopyRequest = Type.Object(
  {
    name: SnapshotName,
    snapshot: Type.Optional(SnapshotName),
    host: Type.Optional(SnapshotName),
    start: Type.Optional(Type.Boolean({ description: 'default: true; of a refreshed one false' })),
    refresh: Type.Optional(
      Type.Boolean({ description: 'the one of that name, which is off, gets the disk; it is made when there is none' }),
    ),
  },
  { additionalProperties: false },
)
export type CopyRequest = Static<typeof CopyRequest>

/** What the owner of a container shall do once, for the operation that is named. Doing it again gives the same. */
export const SnapshotTask = Type.Object({
  operation: Type.String(),
  kind: Type.Union([Type.Literal('create'), Type.Literal('restore')]),
  name: SnapshotName,
  memory: Type.Boolean(),
})
export type SnapshotTask = Static<typeof SnapshotTask>

/** Its owner shall write its disk, or that of a snapshot, into this file, once for the operation. */
export const ExportTask = Type.Object({
  operation: Type.String(),
  upload: Type.String({ pattern: uploadPattern }),
  snapshot: Nullable(SnapshotName),
})
export type ExportTask = Static<typeof ExportTask>

/** Where the disk of a new container comes from. */
export const CopyOrigin = Type.Object({
  operation: Type.String(),
  container: Type.String({ description: 'id of the one that is copied' }),
  name: Type.String(),
  snapshot: Nullable(SnapshotName),
  uidBase: Type.Integer({ description: 'of its user namespace: the owners of the files' }),
  source: Type.Object({ host: Type.String(), address: Type.String(), streamPort: Type.Integer() }),
  /** It has had a disk, which this one takes the place of. */
  refresh: Type.Optional(Type.Literal(true)),
  /** It is no container’s: it was sent to that host. */
  upload: Type.Optional(Type.Object({ id: Type.String({ pattern: uploadPattern }), sha256: Type.String() })),
})
export type CopyOrigin = Static<typeof CopyOrigin>

/** What a host says about a task or a copy, for as long as it is assigned. */
export const SnapshotResult = Type.Object({
  operation: Type.String(),
  state: Type.Union([Type.Literal('done'), Type.Literal('failed')]),
  sizeBytes: Type.Integer(),
  figures: Type.Record(Type.String(), Type.Number()),
  error: Nullable(Type.Object({ code: Type.String(), message: Type.String() })),
})
export type SnapshotResult = Static<typeof SnapshotResult>

// What agents say to each other on a stream connection. A frame is `u32 little-endian length of (type + payload)`, `u8 type`, payload.
// Control frames are JSON; bulk bytes are data frames, never JSON or base64. The side that connects says hello first; the other
// answers `accepted` or `error` and closes. Image: accepted, data…, end. Migration, source → destination:
//   disk, data…, end                          while the container runs; an archive, or what the engine packed
//   or, to a host that it was on before:      disk; the answer is index, data…, end; start-over, remove…, [patch, data…, end]…,
//                                             archive, data…, end
//   [snapshots, data…, end]                   those that it has
//   [volume, data…, end]…                     each volume that it has
//   disk-sent                                 the answer is disk-received
//   compare, [patch, data…, end]…; compare …  pieces of larger files that have changed meanwhile; the answer to compare is index, data…, end
//   parent, data…; pages, data…; pages, …     memory ahead of time: the images that hold it, then its pages, part by part
//   [written, data…]…                         after the freeze: of the dump's files of pages, what it has written
//   memory, data…                             a list of files and all their other bytes
//   [names…, changed…], [patch, data…, end]…, delta, [data…, end]   what changed on disk since
//   [volume-delta, [names…, changed…], delta, [data…, end]]…        the same of each volume
//   [complete]                                all was sent, and what the disk is to be: restore, and wait
//   switched                                  the dump has succeeded, and the source stands still: if it came before `complete`, restore
//   the answer, when the container was released, is free: another hello may follow, as if the connection were new

import { namePattern, uploadPattern, VolumeId } from '@drover/protocol'
import { Compile, type Static, Type } from '@drover/schema'

export const StreamFrameType = { control: 0, data: 1, end: 2 } as const

/** Longest payload of a frame once the peer is known. */
export const maxPayloadBytes = 1 << 20
/** Longest part of memory that is sent ahead; it is taken whole. */
export const maxPartBytes = 32 << 20
/** Longest hello: nobody unknown makes us hold more. */
export const maxHelloBytes = 4096

const Greeting = { protocolVersion: Type.Integer(), secret: Type.String() }
export const Hello = Type.Union([
  Type.Object({ ...Greeting, kind: Type.Literal('image'), digest: Type.String() }),
  Type.Object({ ...Greeting, kind: Type.Literal('migration'), operation: Type.String(), container: Type.String() }),
  Type.Object({
    ...Greeting,
    kind: Type.Literal('disk'),
    operation: Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$' }),
    container: Type.String(),
    snapshot: Type.Union([Type.String({ pattern: namePattern }), Type.Null()]),
    /** Not a container's disk: what was sent to the host. */
    upload: Type.Optional(
      Type.Object({ id: Type.String({ pattern: uploadPattern }), sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }) }),
    ),
  }),
])
export type Hello = Static<typeof Hello>
export const helloValidator = Compile(Hello)

const FileNode = Type.Object({
  path: Type.String(),
  mode: Type.Integer(),
  uid: Type.Integer(),
  gid: Type.Integer(),
})

/** What an engine says of a tree (native/engine/src/tree_hash.h). */
export const TreeSum = Type.Object({
  hash: Type.String({ pattern: '^[0-9a-f]{32}$' }),
  entries: Type.Integer({ minimum: 0 }),
  bytes: Type.Integer({ minimum: 0 }),
})
export type TreeSum = Static<typeof TreeSum>

export const VolumeSum = Type.Object({ id: VolumeId, tree: TreeSum })
export type VolumeSum = Static<typeof VolumeSum>

export const MemoryFile = Type.Object({
  name: Type.String(),
  sizeBytes: Type.Integer({ minimum: 0 }),
  /** So many bytes of its beginning were sent as `written`. */
  sentBytes: Type.Optional(Type.Integer({ minimum: 0 })),
})
export type MemoryFile = Static<typeof MemoryFile>

const Mode = Type.Integer({ minimum: 0, maximum: 0o7777 })
const Id = Type.Integer({ minimum: 0, maximum: 0xffff_ffff })

export const StreamMessage = Type.Union([
  /**
   * `verifies`: it understands `names` and `changed`, and compares trees. `leftover`: it has what the container left there. `unpacks`: it
   * takes a disk that is `packed`. `patches`: it understands `compare`, and a patch after that. `overlaps`: it understands `written` and `complete`.
   * `volumes`: it takes `volume`.
   */
  Type.Object({
    kind: Type.Literal('accepted'),
    verifies: Type.Optional(Type.Boolean()),
    leftover: Type.Optional(Type.Boolean()),
    unpacks: Type.Optional(Type.Boolean()),
    patches: Type.Optional(Type.Boolean()),
    overlaps: Type.Optional(Type.Boolean()),
    volumes: Type.Optional(Type.Boolean()),
  }),
  Type.Object({
    kind: Type.Literal('image'),
    name: Type.String(),
    sizeBytes: Type.Integer(),
    init: Type.Array(Type.String()),
  }),
  Type.Object({ kind: Type.Literal('error'), code: Type.String(), message: Type.String() }),
  Type.Object({
    kind: Type.Literal('disk'),
    sockets: Type.Array(FileNode),
    /** Carried over: a live move is no new start. */
    startedAtMs: Type.Union([Type.Integer(), Type.Null()]),
    starts: Type.Integer(),
    /** It stands still and shall there. */
    frozen: Type.Optional(Type.Boolean()),
    memoryRoomBytes: Type.Optional(Type.Integer({ minimum: 0 })),
    /** Only what isn't there yet is sent: the destination says first what it has. */
    compares: Type.Optional(Type.Boolean()),
    /** What follows was packed by the source's engine (native/engine/src/small_layer.h), sockets included, and is not tar's. */
    packed: Type.Optional(Type.Boolean()),
  }),
  /** Answer to that, or to `compare`; a tree-index.ts follows, or nothing. */
  Type.Object({ kind: Type.Literal('index') }),
  /** What is there is of no use: the layer shall be empty. */
  Type.Object({ kind: Type.Literal('start-over') }),
  Type.Object({ kind: Type.Literal('remove'), paths: Type.Array(Type.String()) }),
  /** Of a file that is there: its size, its time, and that so many bytes at such places follow. */
  Type.Object({
    kind: Type.Literal('patch'),
    path: Type.String(),
    sizeBytes: Type.Integer({ minimum: 0 }),
    mtimeNs: Type.String({ pattern: '^[0-9]{1,20}$' }),
    runs: Type.Array(Type.Tuple([Type.Integer({ minimum: 0 }), Type.Integer({ minimum: 1 })]), { maxItems: 4096 }),
    /** The container runs, and changes it: what can't be done to it now need not be. Its time is none yet. */
    ahead: Type.Optional(Type.Boolean()),
    /** With `ahead`: made if it isn't there. */
    create: Type.Optional(Type.Object({ mode: Mode, uid: Id, gid: Id })),
  }),
  /** Which of these files of the layer are there, and what is in them? The answer is an `index`. */
  Type.Object({ kind: Type.Literal('compare'), paths: Type.Array(Type.String()) }),
  Type.Object({ kind: Type.Literal('archive') }),
  Type.Object({ kind: Type.Literal('snapshots'), sockets: Type.Array(FileNode) }),
  /** One of its volumes; an archive follows. */
  Type.Object({ kind: Type.Literal('volume'), id: VolumeId, sockets: Type.Array(FileNode) }),
  Type.Object({ kind: Type.Literal('disk-sent') }),
  Type.Object({ kind: Type.Literal('free') }),
  Type.Object({ kind: Type.Literal('disk-received'), bytes: Type.Integer() }),
  /** So many bytes follow of a file of pages that the dump is still writing; from 0 on: what came of it before is void. */
  Type.Object({
    kind: Type.Literal('written'),
    name: Type.String(),
    from: Type.Integer({ minimum: 0 }),
    sizeBytes: Type.Integer({ minimum: 1 }),
  }),
  Type.Object({ kind: Type.Literal('memory'), files: Type.Array(MemoryFile) }),
  Type.Object({
    kind: Type.Literal('parent'),
    /** Sent as the files of `memory` are. */
    files: Type.Array(MemoryFile),
    /** Files of pages, all holes: what `pages` fills. */
    sparse: Type.Array(MemoryFile),
  }),
  /** A part as native/engine's memory_copy.h describes it. */
  Type.Object({ kind: Type.Literal('pages'), sizeBytes: Type.Integer({ minimum: 4, maximum: maxPartBytes }) }),
  /** Some of what is in a directory that may have changed while its tar was made; what isn't named is none of it. */
  Type.Object({
    kind: Type.Literal('names'),
    directory: Type.String(),
    names: Type.Array(Type.String()),
    last: Type.Boolean(),
  }),
  /** Some of what the delta changes, for the hash. */
  Type.Object({ kind: Type.Literal('changed'), paths: Type.Array(Type.String()) }),
  Type.Object({
    kind: Type.Literal('delta'),
    /** Paths below the upper directory, bytes as latin1. */
    deletions: Type.Array(Type.String()),
    sockets: Type.Array(FileNode),
    /** Whether a tar of what changed follows. */
    archive: Type.Boolean(),
  }),
  /** Answer to `disk`: a tar of it follows. */
  Type.Object({ kind: Type.Literal('tree'), sockets: Type.Array(FileNode) }),
  /** The names, changed and delta that follow are of this volume. */
  Type.Object({ kind: Type.Literal('volume-delta'), id: VolumeId }),
  /** What was restored counts for nothing before `switched`: the dump may still fail, and the source's processes run on. */
  Type.Object({
    kind: Type.Literal('complete'),
    tree: Type.Optional(TreeSum),
    /** Missing: it has none. */
    volumes: Type.Optional(Type.Array(VolumeSum)),
  }),
  Type.Object({
    kind: Type.Literal('switched'),
    frozenAtNs: Type.Number(),
    tree: Type.Optional(TreeSum),
    /** Missing: it has none. */
    volumes: Type.Optional(Type.Array(VolumeSum)),
  }),
])
export type StreamMessage = Static<typeof StreamMessage>
export type FileNode = Static<typeof FileNode>
export const messageValidator = Compile(StreamMessage)

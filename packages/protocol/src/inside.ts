// What is asked of a container from outside, one answer per question: its files, its processes, what it uses. The same methods, by
// the same names, are those of the API (`POST /v1/containers/:name/inside/:method`, the parameters as body), of the agent's
// gRPC service (a frame `InsideCall`) and of the engine. All of them may be repeated: the same call gives the same result.

import { type Static, type TSchema, Type } from '@drover/schema'
import { Nullable } from './nullable.ts'
import { PreflightFinding } from './preflight.ts'

/** Longest piece of a file in one call, before base64. */
export const maxFilePieceBytes = 512 << 10

const Path = Type.String({ pattern: '^/', maxLength: 4095, description: 'absolute, as the container sees it' })
const Mode = Nullable(
  Type.Integer({ minimum: 0, maximum: 0o7777, description: 'permission bits; null: as it is or usual' }),
)
const Id = Nullable(Type.Integer({ minimum: 0, maximum: 65_535, description: 'as the container sees it' }))

export const FileStatus = Type.Object({
  type: Type.Union([
    Type.Literal('file'),
    Type.Literal('directory'),
    Type.Literal('symlink'),
    Type.Literal('character-device'),
    Type.Literal('block-device'),
    Type.Literal('fifo'),
    Type.Literal('socket'),
  ]),
  mode: Type.Integer(),
  uid: Type.Integer(),
  gid: Type.Integer(),
  sizeBytes: Type.Integer(),
  modifiedAtMs: Type.Integer(),
  target: Nullable(Type.String({ description: 'of a symlink' })),
})
export type FileStatus = Static<typeof FileStatus>
export const FileEntry = Type.Object({ name: Type.String(), ...FileStatus.properties })
export type FileEntry = Static<typeof FileEntry>

export const ProcessStatus = Type.Object({
  pid: Type.Integer({ description: 'in the container' }),
  hostPid: Type.Integer(),
  hostParentPid: Type.Integer(),
  uid: Type.Integer(),
  state: Type.String({ description: 'a letter, as in ps' }),
  threads: Type.Integer(),
  cpuUsec: Type.Integer(),
  memoryBytes: Type.Integer({ description: 'resident' }),
  readBytes: Type.Integer({ description: 'from disk' }),
  writtenBytes: Type.Integer(),
  command: Type.String(),
})
export type ProcessStatus = Static<typeof ProcessStatus>

export const FileSystemUsage = Type.Object({
  path: Type.String(),
  type: Type.String(),
  totalBytes: Type.Integer(),
  usedBytes: Type.Integer(),
  availableBytes: Type.Integer(),
})
export type FileSystemUsage = Static<typeof FileSystemUsage>

const method = <Params extends TSchema, Result extends TSchema>(summary: string, params: Params, result: Result) => ({
  summary,
  params,
  result,
})

const closed = { additionalProperties: false }

export const insideMethods = {
  fileStat: method(
    'What is at a path',
    Type.Object({ path: Path, follow: Type.Boolean({ description: 'the last link too' }) }, closed),
    FileStatus,
  ),
  fileList: method(
    'The entries of a directory, by name; go on with after = next until that is null',
    Type.Object({ path: Path, after: Nullable(Type.String()) }, closed),
    Type.Object({ entries: Type.Array(FileEntry), next: Nullable(Type.String()) }),
  ),
  fileRead: method(
    'A piece of a regular file; a shorter one than asked for is the last',
    Type.Object(
      {
        path: Path,
        offset: Type.Integer({ minimum: 0 }),
        limit: Type.Integer({ minimum: 1, maximum: maxFilePieceBytes }),
      },
      closed,
    ),
    Type.Object({ dataBase64: Type.String(), sizeBytes: Type.Integer() }),
  ),
  fileWrite: method(
    'Write a piece of a regular file, which is made when it is not there; one that is there keeps what is null',
    Type.Object(
      {
        path: Path,
        offset: Type.Integer({ minimum: 0 }),
        dataBase64: Type.String(),
        truncate: Type.Boolean({ description: 'cut it to the offset first' }),
        mode: Mode,
        uid: Id,
        gid: Id,
      },
      closed,
    ),
    FileStatus,
  ),
  fileMake: method(
    'Make a directory or a symlink; one that is there is kept (a link is replaced)',
    Type.Object(
      {
        path: Path,
        type: Type.Union([Type.Literal('directory'), Type.Literal('symlink')]),
        target: Nullable(Type.String({ maxLength: 4095 })),
        mode: Mode,
        uid: Id,
        gid: Id,
      },
      closed,
    ),
    FileStatus,
  ),
  processes: method(
    'The processes, as the host sees them',
    Type.Object({}, closed),
    Type.Object({ processes: Type.Array(ProcessStatus), more: Type.Boolean(), atMs: Type.Integer() }),
  ),
  preflight: method(
    'What in it keeps it from moving live, looked at without stopping it',
    Type.Object({}, closed),
    Type.Object({
      findings: Type.Array(PreflightFinding),
      warnings: Type.Optional(Type.Array(PreflightFinding)),
      processes: Type.Integer(),
      complete: Type.Boolean({ description: 'false: there were too many processes or findings to look at all' }),
    }),
  ),
  usage: method(
    'What the container uses',
    Type.Object({ fileSystems: Type.Boolean({ description: 'its file systems as well' }) }, closed),
    Type.Object({
      memoryBytes: Type.Integer(),
      cpuUsec: Type.Integer(),
      processes: Type.Integer(),
      readBytes: Type.Integer(),
      writtenBytes: Type.Integer(),
      atMs: Type.Integer(),
      fileSystems: Type.Array(FileSystemUsage),
    }),
  ),
} as const

export type InsideMethod = keyof typeof insideMethods
export type InsideParams<M extends InsideMethod> = Static<(typeof insideMethods)[M]['params']>
export type InsideResult<M extends InsideMethod> = Static<(typeof insideMethods)[M]['result']>

/** The request frame of the agent's service. */
export interface InsideCall {
  /** Container id. */
  container: string
  method: InsideMethod
  params: Record<string, unknown>
}

// The one error type and the closed list of codes that every part, the API and the CLI share.
// A message says what we were doing, to what, the value and the limit. Match on codes, never on text.

/** What each code means to a user; `status` is the HTTP status the API answers with. docs/errors.md lists them all. */
export const errorCodes = {
  BAD_REQUEST: { status: 400, meaning: 'a field of the request is missing, unknown or breaks its rule' },
  UNAUTHENTICATED: { status: 401, meaning: 'the cluster secret is missing or wrong' },
  TOKEN_REFUSED: {
    status: 403,
    meaning: 'the join token is not known, was used, has expired, was taken back or is of another cluster',
  },
  HOST_NOT_FOUND: { status: 404, meaning: 'no host of that name has joined the cluster' },
  CONTAINER_NOT_FOUND: { status: 404, meaning: 'no container of that name exists' },
  IMAGE_NOT_FOUND: { status: 404, meaning: 'no image of that name has been built or imported' },
  VOLUME_NOT_FOUND: { status: 404, meaning: 'no volume of that name exists, or its directory is missing' },
  VOLUME_IN_USE: { status: 409, meaning: 'another container has the volume' },
  VOLUME_ELSEWHERE: { status: 409, meaning: 'the volume is on another host than the container' },
  PROFILE_NOT_FOUND: { status: 404, meaning: 'no profile of that name exists' },
  SNAPSHOT_NOT_FOUND: { status: 404, meaning: 'the container has no snapshot of that name' },
  FILE_NOT_FOUND: { status: 404, meaning: 'the container has no file or directory of that path' },
  DEVICE_NOT_FOUND: { status: 404, meaning: 'the host has no such device, directory or bridge to give to a container' },
  OPERATION_NOT_FOUND: { status: 404, meaning: 'no operation of that id is known' },
  ROUTE_NOT_FOUND: { status: 404, meaning: 'the API has no such path' },
  NAME_TAKEN: {
    status: 409,
    meaning: 'a container, a snapshot of the container, or a host of that name exists already',
  },
  SAME_HOST: { status: 409, meaning: 'the container already runs on the host it should move to' },
  WRONG_STATE: { status: 409, meaning: 'the thing is not in a state that allows this' },
  BUSY: { status: 409, meaning: 'another operation is under way on the same thing' },
  STALE_EPOCH: { status: 409, meaning: 'the right to run this container has changed hands since' },
  NO_CAPACITY: { status: 409, meaning: 'no host can take the container; the context names each host and its refusal' },
  PLACEMENT_STALE: { status: 409, meaning: 'the cluster changed between planning and committing; it is planned again' },
  HOOK_FAILED: { status: 409, meaning: 'the command that was to run inside before a snapshot failed: none was taken' },
  CANCELLED: { status: 409, meaning: 'the operation was cancelled' },
  TOO_LARGE: { status: 413, meaning: 'a message or body is over its size limit' },
  NOT_LEADER: { status: 421, meaning: 'this controller is not the leader; the context names it where known' },
  LIMIT_REACHED: { status: 429, meaning: 'a bounded queue or count is full' },
  INTERNAL: { status: 500, meaning: 'a defect of drover itself; the log has the whole chain' },
  ENGINE_FAILED: {
    status: 502,
    meaning: 'the engine of a host could not do a step; the message has the kernel’s or CRIU’s answer',
  },
  CHECKPOINT_FAILED: { status: 502, meaning: 'CRIU could not dump the container; it runs on where it was' },
  RESTORE_FAILED: { status: 502, meaning: 'CRIU could not restore the container; the source goes on' },
  NOT_MIGRATABLE: {
    status: 409,
    meaning: 'the container or a host has something that keeps it from moving live; the message names it',
  },
  BLACKOUT_TOO_LONG: {
    status: 409,
    meaning:
      'the container would stand still for longer than the move allows; it was not frozen and runs on where it was',
  },
  TRANSFER_FAILED: { status: 502, meaning: 'the connection between two hosts broke during a transfer' },
  DISK_DIFFERS: {
    status: 502,
    meaning: 'the disk that arrived in a move is not the one that was sent; the container runs on where it was',
  },
  HOST_UNREACHABLE: { status: 503, meaning: 'the host’s agent does not answer' },
  API_UNREACHABLE: { status: 503, meaning: 'no controller answers at any endpoint that the client knows' },
  NOT_CONFIGURED: { status: 500, meaning: 'the client found no configuration that says where the cluster is' },
  NO_QUORUM: { status: 503, meaning: 'no majority of controllers can be reached: nothing was changed' },
  TIMED_OUT: { status: 504, meaning: 'a step did not end within its deadline' },
  VERSION_MISMATCH: { status: 409, meaning: 'the two sides speak protocol versions that do not fit' },
} as const satisfies Record<string, { status: number; meaning: string }>

export type ErrorCode = keyof typeof errorCodes

/** An operating error: expected, named, and safe to show to a user. */
export class DroverError extends Error {
  readonly code: ErrorCode
  /** Whether the same call may succeed later without any change. */
  readonly retryable: boolean
  /** Names and numbers that the message speaks of, for programs. Never a secret. */
  readonly context: Record<string, unknown>

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; retryable?: boolean; context?: Record<string, unknown> } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'DroverError'
    this.code = code
    this.retryable = options.retryable ?? defaultRetryable.has(code)
    this.context = options.context ?? {}
  }

  toJSON(): ErrorBody {
    return { error: { code: this.code, message: this.message, retryable: this.retryable, context: this.context } }
  }

  /** Rebuilds an error that came over a wire; an unknown code becomes INTERNAL. */
  static fromJSON(body: unknown): DroverError {
    const error = (body as Partial<ErrorBody> | null)?.error
    if (!error || typeof error.message !== 'string') {
      return new DroverError('INTERNAL', `an error of unknown form arrived: ${JSON.stringify(body)?.slice(0, 200)}`)
    }
    const code = Object.hasOwn(errorCodes, error.code) ? error.code : 'INTERNAL'
    return new DroverError(code, error.message, { retryable: error.retryable === true, context: error.context ?? {} })
  }

  /** Whatever was thrown, as a DroverError; what is not one already is a defect: INTERNAL, with the cause kept. */
  static from(thrown: unknown): DroverError {
    if (thrown instanceof DroverError) return thrown
    return new DroverError('INTERNAL', thrown instanceof Error ? thrown.message : String(thrown), { cause: thrown })
  }
}

export interface ErrorBody {
  error: { code: ErrorCode; message: string; retryable: boolean; context: Record<string, unknown> }
}

const defaultRetryable: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'NOT_LEADER',
  'NO_QUORUM',
  'HOST_UNREACHABLE',
  'PLACEMENT_STALE',
  'LIMIT_REACHED',
  'TRANSFER_FAILED',
  'DISK_DIFFERS',
  'TIMED_OUT',
])

// One frame format for every interactive stream: engine socket, agent gRPC, API WebSocket.
// On the engine's unix socket a frame is `u32 little-endian length of (type + payload)`, `u8 type`, payload;
// in gRPC and WebSocket messages, which keep boundaries, it is `u8 type`, payload.

export const FrameType = {
  /** JSON: a request, a response or an event of the engine socket; the first frame of an exec or logs stream. */
  json: 0,
  stdin: 1,
  stdout: 2,
  stderr: 3,
  /** The writer of stdin is done. No payload. */
  stdinEnd: 4,
  /** JSON {columns, rows}. */
  resize: 5,
  /** JSON {signal}: number to send to the process. */
  signal: 6,
  /** JSON {exitCode: number}: 128 + signal when killed. Last frame. */
  exit: 7,
  /** JSON ErrorBody. Last frame. */
  error: 8,
} as const
export type FrameType = (typeof FrameType)[keyof typeof FrameType]

/** Longest (type + payload) a peer may send; a longer one ends the connection with TOO_LARGE. */
export const maxFrameBytes = 1 << 20

export interface Frame {
  type: FrameType
  payload: Uint8Array
}

/** A frame as a message of a transport that keeps boundaries. */
export function encodeMessage(type: FrameType, payload: Uint8Array | string = ''): Buffer {
  const body = typeof payload === 'string' ? Buffer.from(payload) : payload
  const message = Buffer.allocUnsafe(1 + body.length)
  message[0] = type
  message.set(body, 1)
  return message
}

export function decodeMessage(message: Uint8Array): Frame {
  return { type: (message[0] ?? FrameType.error) as FrameType, payload: message.subarray(1) }
}

export type ExecUser = { uid: number; gid: number } | { name: string }

/** What the first frame (json) of an exec stream says. */
export interface ExecRequest {
  /** Container name (API) or id (agent, engine). */
  container: string
  command: string[]
  /** A PTY, with its first size; null: pipes. */
  terminal: { columns: number; rows: number } | null
  environment: Record<string, string>
  /** Working directory inside; null: /root or /. */
  directory: string | null
  /** Numeric uid:gid inside, or a user of the container's own by name, with its groups and home; null: 0:0. */
  user: ExecUser | null
  /** Joins the container's console instead: the host says what runs there, and all but the terminal's size is of no meaning. */
  console?: boolean
}

// The agent's gRPC service: exec and logs of containers, as frames (protocol/streams.ts). Every call carries the cluster's secret. Data is
// passed on with backpressure both ways, and a caller that goes away takes its exec session with it.

import {
  agentService,
  DroverError,
  decodeMessage,
  type ExecRequest,
  encodeMessage,
  FrameType,
  type LogsRequest,
  maxFrameBytes,
} from '@drover/protocol'
import { Compile, Type } from '@drover/schema'
import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js'
import { answerBulk, type BulkParts } from './bulk.ts'
import { Consoles } from './console/consoles.ts'
import { describeViolation } from './describe-violation.ts'
import type { EnginePort, ExecPort } from './engine-port.ts'
import { answerInside } from './inside.ts'
import { sameSecret } from './streams/stream-server.ts'
import type { Access, TlsMaterial } from './tls.ts'

const Size = Type.Object({
  columns: Type.Integer({ minimum: 1, maximum: 10_000 }),
  rows: Type.Integer({ minimum: 1, maximum: 10_000 }),
})
const Id = Type.Integer({ minimum: 0, maximum: 0x7fffffff })
const execValidator = Compile(
  Type.Object({
    container: Type.String({ pattern: '^[a-z0-9-]{1,32}$' }),
    command: Type.Array(Type.String(), { minItems: 1, maxItems: 4096 }),
    terminal: Type.Union([Size, Type.Null()]),
    environment: Type.Record(Type.String(), Type.String()),
    directory: Type.Union([Type.String(), Type.Null()]),
    console: Type.Optional(Type.Boolean()),
    user: Type.Union([
      Type.Object({ uid: Id, gid: Id }),
      Type.Object({ name: Type.String({ minLength: 1, maxLength: 256 }) }),
      Type.Null(),
    ]),
  }),
)
const logsValidator = Compile(
  Type.Object({
    container: Type.String({ pattern: '^[a-z0-9-]{1,32}$' }),
    follow: Type.Boolean(),
    tailBytes: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()]),
    offset: Type.Optional(Type.Integer({ minimum: 0 })),
  }),
)
const sizeValidator = Compile(Size)
const signalValidator = Compile(Type.Object({ signal: Type.Integer({ minimum: 1, maximum: 64 }) }))

/** Of a console whose viewer has no terminal. */
const usualSize = { columns: 80, rows: 24 }
const maxSessions = 256
const requestDeadlineMs = 5_000
const logsPollMs = 250
const logsPieceBytes = 64 << 10

export class AgentGrpc {
  readonly #server: Server
  readonly port: number

  private constructor(server: Server, port: number) {
    this.#server = server
    this.port = port
  }

  static start(
    address: string,
    port: number,
    { secret, tls }: Access,
    engine: EnginePort,
    bulk: BulkParts,
  ): Promise<AgentGrpc> {
    const server = new Server({ 'grpc.max_receive_message_length': maxFrameBytes + 1024 })
    const consoles = new Consoles(engine)
    let sessions = 0
    const guard = (
      call: ServerDuplexStream<Buffer, Buffer> | ServerWritableStream<Buffer, Buffer>,
      serve: () => void,
    ) => {
      if (!authorized(call.metadata, secret))
        return refuse(call, status.UNAUTHENTICATED, 'the cluster secret is missing or wrong')
      if (sessions >= maxSessions)
        return refuse(call, status.RESOURCE_EXHAUSTED, `this agent serves ${maxSessions} streams already`)
      sessions++
      call.once('close', () => sessions--)
      serve()
    }
    server.addService(agentService as unknown as ServiceDefinition, {
      exec: (call: ServerDuplexStream<Buffer, Buffer>) => guard(call, () => serveExec(call, engine, consoles)),
      inside: (call: ServerUnaryCall<Buffer, Buffer>, reply: sendUnaryData<Buffer>) => {
        if (!authorized(call.metadata, secret))
          return reply({ code: status.UNAUTHENTICATED, details: 'the cluster secret is missing or wrong' })
        void serveInside(call.request, engine).then((answer) => reply(null, answer))
      },
      bulk: (call: ServerUnaryCall<Buffer, Buffer>, reply: sendUnaryData<Buffer>) => {
        if (!authorized(call.metadata, secret))
          return reply({ code: status.UNAUTHENTICATED, details: 'the cluster secret is missing or wrong' })
        void answerBulk(call.request, bulk).then((answer) => reply(null, answer))
      },
      logs: (call: ServerWritableStream<Buffer, Buffer>) => guard(call, () => void serveLogs(call, engine)),
    })
    return new Promise((resolve, reject) => {
      server.bindAsync(`${address}:${port}`, serverCredentials(tls), (cause, bound) => {
        if (cause)
          reject(new DroverError('INTERNAL', `listen for gRPC on ${address}:${port}: ${cause.message}`, { cause }))
        else resolve(new AgentGrpc(server, bound))
      })
    })
  }

  close(): void {
    this.#server.forceShutdown()
  }
}

/** Only callers with a certificate of the cluster's authority get as far as a call. */
function serverCredentials(tls: TlsMaterial | null): ServerCredentials {
  if (tls === null) return ServerCredentials.createInsecure()
  return ServerCredentials.createSsl(tls.ca, [{ private_key: tls.key, cert_chain: tls.cert }], true)
}

function authorized(metadata: Metadata, secret: string): boolean {
  const header = String(metadata.get('authorization')[0] ?? '')
  return header.startsWith('Bearer ') && sameSecret(header.slice('Bearer '.length), secret)
}

type Call = ServerDuplexStream<Buffer, Buffer> | ServerWritableStream<Buffer, Buffer>

function refuse(call: Call, code: status, details: string): void {
  call.emit('error', { code, details, metadata: new Metadata() })
}

/** Operating errors travel as the last frame, so that their code survives. */
function endWithError(call: Call, thrown: unknown): void {
  if (call.destroyed || call.writableEnded) return
  call.write(encodeMessage(FrameType.error, JSON.stringify(DroverError.from(thrown).toJSON())))
  call.end()
}

function serveExec(call: ServerDuplexStream<Buffer, Buffer>, engine: EnginePort, consoles: Consoles): void {
  let started: Promise<ExecPort> | null = null
  const timer = setTimeout(() => {
    endWithError(call, new DroverError('TIMED_OUT', `exec: no request within ${requestDeadlineMs} ms`))
  }, requestDeadlineMs)
  call.on('data', (message: Buffer) => {
    const frame = decodeMessage(message)
    if (started) {
      call.pause()
      started
        .then((session) => forwardInput(session, frame.type, frame.payload))
        .catch((thrown) => endWithError(call, thrown))
        .finally(() => call.resume())
      return
    }
    clearTimeout(timer)
    started = startExec(call, engine, consoles, frame.payload)
    started.catch((thrown) => endWithError(call, thrown))
  })
  const leave = () => {
    clearTimeout(timer)
    started?.then((session) => session.close()).catch(() => {})
  }
  call.on('cancelled', leave)
  call.on('error', leave)
  call.on('close', leave)
  // Half-closing without stdinEnd is the end of stdin as well.
  call.on('end', () => started?.then((session) => session.end()).catch(() => {}))
}

async function startExec(
  call: ServerDuplexStream<Buffer, Buffer>,
  engine: EnginePort,
  consoles: Consoles,
  payload: Uint8Array,
): Promise<ExecPort> {
  const request = parse<ExecRequest>(payload, execValidator, 'exec request')
  let session: ExecPort | null = null
  const pass = (type: FrameType) => (data: Uint8Array) => {
    if (call.destroyed || call.writableEnded) return
    if (!call.write(encodeMessage(type, data)) && session) {
      session.pause()
      call.once('drain', () => session?.resume())
    }
  }
  const { container, command, environment, directory, user, terminal } = request
  session = request.console
    ? await consoles.attach(container, terminal ?? usualSize, pass(FrameType.stdout))
    : await engine.exec(
        { container, command, environment, directory, user, terminal },
        { onStdout: pass(FrameType.stdout), onStderr: pass(FrameType.stderr) },
      )
  session.exit.then(
    (exitCode) => {
      if (call.destroyed || call.writableEnded) return
      call.write(encodeMessage(FrameType.exit, JSON.stringify({ exitCode })))
      call.end()
    },
    (thrown) => endWithError(call, thrown),
  )
  return session
}

async function forwardInput(session: ExecPort, type: FrameType, payload: Uint8Array): Promise<void> {
  switch (type) {
    case FrameType.stdin:
      return session.write(payload)
    case FrameType.stdinEnd:
      return session.end()
    case FrameType.resize: {
      const { columns, rows } = parse<{ columns: number; rows: number }>(payload, sizeValidator, 'resize')
      return session.resize(columns, rows)
    }
    case FrameType.signal:
      return session.signal(parse<{ signal: number }>(payload, signalValidator, 'signal').signal)
    default:
      throw new DroverError('BAD_REQUEST', `exec: a frame of type ${type} came from the client`)
  }
}

/** Never rejects: an operating error is an answer too. */
async function serveInside(request: Buffer, engine: EnginePort): Promise<Buffer> {
  try {
    const result = await answerInside(decodeMessage(request).payload, engine)
    return encodeMessage(FrameType.json, JSON.stringify(result))
  } catch (thrown) {
    return encodeMessage(FrameType.error, JSON.stringify(DroverError.from(thrown).toJSON()))
  }
}

async function serveLogs(call: ServerWritableStream<Buffer, Buffer>, engine: EnginePort): Promise<void> {
  let left = false
  const leave = () => {
    left = true
  }
  call.on('cancelled', leave)
  call.on('error', leave)
  call.on('close', leave)
  let offset = -1
  try {
    const request = parse<LogsRequest>(decodeMessage(call.request).payload, logsValidator, 'logs request')
    const { container, follow, tailBytes } = request
    offset = request.offset ?? (tailBytes === null ? 0 : -tailBytes)
    if (tailBytes === 0 && request.offset === undefined)
      offset = (await engine.call('logs', { container, offset: 0, limit: 1 })).size
    while (!left) {
      const part = await engine.call('logs', { container, offset, limit: logsPieceBytes })
      // A shorter log than before was truncated or belongs to a new life: begin at its beginning.
      offset = part.size < part.offset ? 0 : part.nextOffset
      if (part.dataBase64 !== '') {
        const room = call.write(encodeMessage(FrameType.stdout, Buffer.from(part.dataBase64, 'base64')))
        if (!room) await new Promise<void>((resolve) => call.once('drain', resolve).once('close', resolve))
      } else if (!follow) {
        break
      } else {
        await new Promise((resolve) => setTimeout(resolve, logsPollMs))
      }
    }
    if (!left) call.end()
  } catch (thrown) {
    if (!left) endWithError(call, offset < 0 ? thrown : whereItStands(thrown, offset))
  }
}

/** For going on with the log on another host. */
function whereItStands(thrown: unknown, offset: number): DroverError {
  const { code, message, retryable, context } = DroverError.from(thrown)
  return new DroverError(code, message, { cause: thrown, retryable, context: { ...context, offset } })
}

interface Validator {
  Check(value: unknown): boolean
  Errors(value: unknown): { instancePath: string; message: string }[]
}

function parse<T>(payload: Uint8Array, validator: Validator, what: string): T {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(payload).toString())
  } catch (cause) {
    throw new DroverError('BAD_REQUEST', `${what}: not JSON`, { cause })
  }
  if (!validator.Check(value)) throw new DroverError('BAD_REQUEST', `${what}: ${describeViolation(validator, value)}`)
  return value as T
}

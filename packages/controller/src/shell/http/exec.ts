// GET /v1/containers/:name/exec (WebSocket): frames between the client and the container's agent, with backpressure in both
// directions. The first frame is the ExecRequest; we only put the container's id into it.

import { DroverError, decodeMessage, type ExecRequest, encodeMessage, FrameType, maxFrameBytes } from '@drover/protocol'
import { Compile, Type } from '@drover/schema'
import type { WebSocket } from '@fastify/websocket'
import type { ClientDuplexStream, ServiceError } from '@grpc/grpc-js'
import type { FastifyInstance } from 'fastify'
import { type AgentStreams, callError } from '../agent-streams.ts'
import type { ControllerContext } from '../context.ts'
import { hasLeft, locate, mostHosts } from './locate.ts'
import { NameParams } from './route.ts'

/** A client that connects and says nothing. */
const firstFrameDeadlineMs = 10_000
/** Beyond this the agent's side is paused until the client has read. */
const maxBufferedBytes = 1 << 20
const maxSessions = 1_000
const farewellMs = 1_000
/** Of what a client says before its command does, so much is kept, to be said again on another host. */
const maxKeptBytes = 1 << 20

const Request = Compile(
  Type.Object({
    container: Type.Optional(Type.String()),
    command: Type.Array(Type.String(), { minItems: 1, maxItems: 4096 }),
    terminal: Type.Union([
      Type.Null(),
      Type.Object({
        columns: Type.Integer({ minimum: 1, maximum: 65_535 }),
        rows: Type.Integer({ minimum: 1, maximum: 65_535 }),
      }),
    ]),
    environment: Type.Record(Type.String(), Type.String()),
    directory: Type.Union([Type.String(), Type.Null()]),
    console: Type.Optional(Type.Boolean()),
    user: Type.Union([
      Type.Null(),
      Type.Object({ uid: Type.Integer(), gid: Type.Integer() }),
      Type.Object({ name: Type.String({ minLength: 1, maxLength: 256 }) }),
    ]),
  }),
)

export function execRoutes(app: FastifyInstance, context: ControllerContext, agents: AgentStreams): void {
  const sessions = new Set<WebSocket>()
  const options = { websocket: true, schema: { summary: 'Run a command in a container', params: NameParams } } as const
  app.get('/v1/containers/:name/exec', options, (socket, request) => {
    const { name } = request.params as { name: string }
    if (sessions.size >= maxSessions) {
      return end(
        socket,
        new DroverError('LIMIT_REACHED', `exec in ${name}: ${maxSessions} sessions are open, the limit`),
      )
    }
    sessions.add(socket)
    socket.on('close', () => sessions.delete(socket))
    socket.on('error', () => socket.terminate())
    const silence = setTimeout(() => {
      end(socket, new DroverError('TIMED_OUT', `exec in ${name}: no request within ${firstFrameDeadlineMs} ms`))
    }, firstFrameDeadlineMs)
    socket.on('close', () => clearTimeout(silence))
    socket.once('message', (data: Buffer) => {
      clearTimeout(silence)
      const begin = (early: Held, attempt: number) => {
        open(context, agents, name, data).then(
          ({ call, host }) => {
            const again = attempt === mostHosts ? null : (said: Buffer[]) => begin(holdBack(socket, said), attempt + 1)
            connect(socket, call, { doing: `exec in ${name}`, host, again })
            early.deliver()
          },
          (error) => {
            early.drop()
            end(socket, DroverError.from(error))
          },
        )
      }
      begin(holdBack(socket), 1)
    })
  })
}

type Held = ReturnType<typeof holdBack>

/** Paused, a socket still gives out the frames that it had read together with the last one: a read's worth at most. */
function holdBack(socket: WebSocket, frames: Buffer[] = []): { deliver(): void; drop(): void } {
  const keep = (data: Buffer) => void frames.push(data)
  socket.on('message', keep)
  socket.pause()
  const drop = () => void socket.off('message', keep)
  return {
    drop,
    deliver() {
      drop()
      for (const frame of frames) socket.emit('message', frame)
      socket.resume()
    },
  }
}

async function open(context: ControllerContext, agents: AgentStreams, name: string, first: Buffer) {
  const asked = readRequest(first, name)
  const { id, host, address } = await locate(context, name)
  // The host would say so, too, but knows the container by its id only.
  const state = context.machine.state.tables.containers.get(id)?.state
  if (state === 'stopped' || state === 'frozen') {
    const remedy = state === 'frozen' ? 'thaw' : 'start'
    throw new DroverError('WRONG_STATE', `exec in ${name}: it is ${state}; ${remedy} it first`, {
      context: { container: name, state },
    })
  }
  const call = agents.exec(address)
  call.write(encodeMessage(FrameType.json, JSON.stringify({ ...asked, container: id } satisfies ExecRequest)))
  return { call, host }
}

function readRequest(message: Buffer, name: string): ExecRequest {
  const { type, payload } = decodeMessage(message)
  let value: unknown = null
  try {
    if (type === FrameType.json) value = JSON.parse(Buffer.from(payload).toString())
  } catch {
    // Told below: it is no request.
  }
  if (Request.Check(value)) return { ...value, container: name }
  const first = [...Request.Errors(value)][0]
  const why = value === null ? 'a json frame is expected' : `${first?.instancePath || '/'} ${first?.message}`
  throw new DroverError('BAD_REQUEST', `exec in ${name}: the first frame is no ExecRequest: ${why}`)
}

interface Connected {
  doing: string
  host: string
  /** Takes the client's frames to where the container is now; null: it has been looked for often enough. */
  again: ((said: Buffer[]) => void) | null
}

function connect(socket: WebSocket, call: ClientDuplexStream<Buffer, Buffer>, { doing, host, again }: Connected): void {
  let ended = false
  let left = false
  let said: { frames: Buffer[]; bytes: number } | null = { frames: [], bytes: 0 }
  const pass = (data: Buffer) => {
    if (said) {
      said.frames.push(data)
      said.bytes += data.length
      if (said.bytes > maxKeptBytes) said = null
    }
    if (data.length > maxFrameBytes) {
      end(
        socket,
        new DroverError('TOO_LARGE', `${doing}: a frame of ${data.length} bytes; ${maxFrameBytes} are allowed`),
      )
      call.cancel()
    } else if (!call.write(data)) {
      socket.pause()
      call.once('drain', () => (left ? undefined : socket.resume()))
    }
  }
  socket.on('message', pass)
  const leave = () => (ended ? undefined : call.cancel())
  socket.on('close', leave)
  if (socket.readyState === socket.CLOSED) leave()
  call.on('data', (message: Buffer) => {
    const { type, payload } = decodeMessage(message)
    if (type === FrameType.exit || type === FrameType.error) ended = true
    if (type === FrameType.error && said && again && hasLeft(readError(payload))) {
      left = true
      socket.off('message', pass)
      again(said.frames)
      return
    }
    said = null
    socket.send(message, () => {
      if (call.isPaused() && socket.bufferedAmount < maxBufferedBytes) call.resume()
    })
    if (socket.bufferedAmount > maxBufferedBytes) call.pause()
  })
  call.on('end', () => {
    if (left) return
    if (ended) farewell(socket)
    else end(socket, new DroverError('TRANSFER_FAILED', `${doing} on host ${host}: its agent ended the stream early`))
  })
  call.on('error', (error: ServiceError) => {
    if (left) return
    // After the last frame it says nothing new.
    if (ended) farewell(socket)
    else end(socket, callError(error, doing, host))
    ended = true
  })
}

const readError = (payload: Uint8Array) => DroverError.fromJSON(JSON.parse(Buffer.from(payload).toString()))

function end(socket: WebSocket, error: DroverError): void {
  if (socket.readyState !== socket.OPEN) return
  socket.resume()
  socket.send(encodeMessage(FrameType.error, JSON.stringify(error.toJSON())))
  farewell(socket)
}

/** A client that doesn't answer the closing is cut off; ws alone would wait half a minute. */
function farewell(socket: WebSocket): void {
  socket.close(1000)
  setTimeout(() => socket.terminate(), farewellMs).unref()
}

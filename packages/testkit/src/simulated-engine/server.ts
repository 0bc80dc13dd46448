// The unix socket of a simulated engine: reads requests, answers them, and refuses what is no request. It speaks exactly
// what the native engine speaks (packages/engine/src/messages.ts), so agents can't tell them apart but by the version.

import { chmodSync, existsSync, mkdirSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { DroverError, type EngineConfig, FrameType } from '@drover/protocol'
import { checkParams, isMethod } from './check-params.ts'
import { Connection } from './connection.ts'
import { SimulatedContainers } from './containers.ts'
import { type ExecParams, ExecSession } from './exec-session.ts'
import { type Fault, Faults } from './faults.ts'
import { type MethodTable, methodTable, type OneAnswerMethod } from './methods.ts'

/** Clients at once; an agent uses two, each exec one more. */
const maxConnections = 256

export class SimulatedEngine {
  readonly containers: SimulatedContainers
  readonly faults = new Faults()
  readonly #config: EngineConfig
  readonly #methods: MethodTable
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  /** Another `bootId` than the last engine's: the host has booted since. */
  constructor(config: EngineConfig, bootId?: string) {
    this.#config = config
    this.containers = new SimulatedContainers(config.stateDirectory, { nowMs: Date.now }, bootId)
    this.#methods = methodTable(this.containers, config)
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#serve(socket))
    this.#server.maxConnections = maxConnections
  }

  async start(): Promise<void> {
    const { socket } = this.#config
    mkdirSync(dirname(socket), { recursive: true })
    if (existsSync(socket)) rmSync(socket)
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(socket, resolve)
    })
    chmodSync(socket, 0o600)
  }

  /** Ends every connection. Containers go on: the next engine on this state directory has them. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('close', () => this.#sockets.delete(socket))
    let session: ExecSession | null = null
    let unsubscribe = () => {}
    const connection: Connection = new Connection(socket, {
      frame: (type, payload) => {
        if (session) session.receive(type, payload)
        else if (type !== FrameType.json)
          this.#refuse(connection, null, new DroverError('BAD_REQUEST', `frame type ${type} outside an exec`))
        else void this.#request(connection, payload, taken)
      },
      closed: () => {
        session?.abort(1)
        unsubscribe()
      },
    })
    // The peer has said all: what it asked for is still answered, an exec that goes on is hung up.
    socket.on('end', () => {
      if (session) session.abort(1)
      socket.end()
    })
    const taken = {
      byExec: (params: ExecParams) => {
        session = new ExecSession(this.containers, connection, params)
        return session
      },
      bySubscriber: () => {
        unsubscribe()
        unsubscribe = this.containers.onChange((container) => connection.sendJson({ event: 'container', container }))
      },
    }
  }

  async #request(connection: Connection, payload: Uint8Array, taken: Taken): Promise<void> {
    let id: unknown = null
    try {
      const request = parseRequest(payload)
      id = request.id
      if (!isMethod(request.method)) {
        throw new DroverError('BAD_REQUEST', `unknown method ${String(request.method).slice(0, 64)}`)
      }
      const params = checkParams(request.method, request.params)
      this.faults.strike(request.method, containerOf(params))
      if (request.method === 'exec') {
        const session = taken.byExec(params as unknown as ExecParams)
        connection.sendJson({ id, result: { pid: process.pid } })
        void session.run()
      } else if (request.method === 'subscribe') {
        connection.sendJson({ id, result: null })
        taken.bySubscriber()
      } else if (request.method === 'simulate') {
        this.faults.add(params as unknown as Fault)
        connection.sendJson({ id, result: null })
      } else {
        connection.sendJson({ id, result: await this.#call(request.method, params) })
      }
    } catch (error) {
      this.#refuse(connection, id, DroverError.from(error))
    }
  }

  #call(method: OneAnswerMethod, params: unknown): unknown {
    return (this.#methods[method] as (params: unknown) => unknown)(params)
  }

  #refuse(connection: Connection, id: unknown, error: DroverError): void {
    connection.sendJson({ id, error: error.toJSON().error })
  }
}

interface Taken {
  byExec(params: ExecParams): ExecSession
  bySubscriber(): void
}

function parseRequest(payload: Uint8Array): { id: unknown; method: unknown; params: unknown } {
  let request: { id?: unknown; method?: unknown; params?: unknown } | null
  try {
    request = JSON.parse(Buffer.from(payload).toString())
  } catch {
    throw new DroverError('BAD_REQUEST', 'the frame is not JSON')
  }
  if (typeof request !== 'object' || request === null)
    throw new DroverError('BAD_REQUEST', 'the request is not an object')
  if (typeof request.id !== 'number' && typeof request.id !== 'string') {
    throw new DroverError('BAD_REQUEST', 'the request has no id')
  }
  return { id: request.id, method: request.method, params: request.params ?? {} }
}

function containerOf(params: { [field: string]: unknown }): string | null {
  if (typeof params.container === 'string') return params.container
  return (params.spec as { container?: string } | undefined)?.container ?? null
}

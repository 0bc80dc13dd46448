// The server that other agents connect to. Nobody gets further than the hello without the cluster's secret; a hello that is late,
// too long, garbage, of another version or for nothing we know is answered with an error and closed. The number of connections is bounded.

import { createHash, timingSafeEqual } from 'node:crypto'
import type { AddressInfo, Server, Socket } from 'node:net'
import { DroverError, protocolVersion } from '@drover/protocol'
import { describeViolation } from '../describe-violation.ts'
import type { Access } from '../tls.ts'
import { type Hello, helloValidator, StreamFrameType } from './messages.ts'
import { StreamConnection } from './stream-connection.ts'
import { listen } from './transport.ts'

/** Takes an accepted connection over; throws a DroverError when there's nothing for that hello here. */
export type StreamHandler = (connection: StreamConnection, hello: Hello) => void | Promise<void>

const helloDeadlineMs = 5_000
const maxConnections = 64

export class StreamServer {
  readonly #server: Server
  readonly #connections: Set<StreamConnection>

  private constructor(server: Server, connections: Set<StreamConnection>) {
    this.#server = server
    this.#connections = connections
  }

  static async start(address: string, port: number, access: Access, handler: StreamHandler): Promise<StreamServer> {
    const connections = new Set<StreamConnection>()
    const serve = (connection: StreamConnection, socket: Socket) => {
      const refusal = refusalOf(socket, access)
      if (refusal) {
        connection.refuse(refusal)
        return
      }
      if (connections.size >= maxConnections) {
        connection.refuse(
          new DroverError('LIMIT_REACHED', `this agent has ${maxConnections} stream connections already`),
        )
        return
      }
      connections.add(connection)
      connection.onClose(() => connections.delete(connection))
      connection.onGivenBack(() => {
        connections.delete(connection)
        const next = connection.renew()
        if (!next) return connection.destroy()
        next.sendMessage({ kind: 'free' }).catch(() => {})
        serve(next, socket)
      })
      greet(connection, access.secret)
        .then((hello) => {
          // A connection that is used again may have waited for it.
          const tooLate = refusalOf(socket, access)
          if (tooLate) throw tooLate
          return handler(connection, hello)
        })
        .catch((thrown) => connection.refuse(DroverError.from(thrown)))
    }
    const server = await listen(address, port, access.tls, (socket) => serve(new StreamConnection(socket), socket))
    return new StreamServer(server, connections)
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  close(): Promise<void> {
    for (const connection of this.#connections) connection.destroy()
    return new Promise((resolve) => this.#server.close(() => resolve()))
  }
}

function refusalOf(socket: Socket, { removed }: Access): DroverError | null {
  const host = removed?.has(socket) ?? null
  return host === null ? null : new DroverError('UNAUTHENTICATED', `host ${host} was removed from the cluster`)
}

async function greet(connection: StreamConnection, secret: string): Promise<Hello> {
  const frame = await connection.receive(helloDeadlineMs)
  let value: unknown
  try {
    value = frame.type === StreamFrameType.control ? JSON.parse(frame.payload.toString()) : null
  } catch (cause) {
    throw new DroverError('BAD_REQUEST', 'stream hello: not JSON', { cause })
  }
  const offered = (value as { protocolVersion?: unknown } | null)?.protocolVersion
  if (typeof offered === 'number' && offered !== protocolVersion) {
    throw new DroverError('VERSION_MISMATCH', `stream hello: version ${offered} meets version ${protocolVersion}`)
  }
  if (!helloValidator.Check(value)) {
    throw new DroverError('BAD_REQUEST', `stream hello: ${describeViolation(helloValidator, value)}`)
  }
  if (!sameSecret(value.secret, secret)) {
    throw new DroverError('UNAUTHENTICATED', 'stream hello: the cluster secret is wrong')
  }
  connection.trust()
  return value
}

/** Compares in constant time; hashing first makes the lengths equal. */
export function sameSecret(offered: string, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(offered), digest(expected))
}

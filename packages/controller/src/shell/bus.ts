// The NATS side of a controller: reports come in, assignments go out, pulls are answered. Everything on it may be lost, so
// nothing here waits or queues without bound; the connection is kept up for ever.

import { setTimeout as pause } from 'node:timers/promises'
import {
  type AssignmentBatch,
  busTlsName,
  DroverError,
  maxMessageBytes,
  PullRequest,
  type ReportsWanted,
  subjects,
  type TlsFiles,
} from '@drover/protocol'
import { Compile } from '@drover/schema'
import { connect, type Msg, type NatsConnection } from '@nats-io/transport-node'
import type { Logger } from 'pino'

export interface BusOptions {
  cluster: string
  servers: readonly string[]
  secret: string
  tls: TlsFiles | null
  name: string
  log: Logger
}

export interface BusHandlers {
  report(bytes: Uint8Array): void
  /** null: we are not the leader, another one answers. */
  pull(request: PullRequest): Promise<AssignmentBatch | null>
  /** The connection was lost, or is back. */
  connected(up: boolean): void
}

/** Between attempts to reconnect: short, since agents hear nothing meanwhile. */
const reconnectWaitMs = 250
/** A server that dies during the handshake leaves the attempt hanging; the library’s own 20 s are too long to be deaf. */
const connectDeadlineMs = 2_000
/** Two missed pings: a dead connection is noticed within this many seconds. */
const pingIntervalMs = 2_000

const pullValidator = Compile(PullRequest)

export class Bus {
  #connection: NatsConnection | null = null
  #up = false
  #closed = false
  readonly #options: BusOptions
  readonly #handlers: BusHandlers

  constructor(options: BusOptions, handlers: BusHandlers) {
    this.#options = options
    this.#handlers = handlers
  }

  /** Resolves when connecting has begun; a server that is down is tried until it is there. */
  async start(): Promise<void> {
    void this.#firstConnection()
  }

  /** Tried until it succeeds or the bus is closed, which the library's own waiting for a first connection would not notice. */
  async #firstConnection(): Promise<void> {
    while (!this.#closed) {
      try {
        return this.#connected(await this.#dial())
      } catch {
        await pause(reconnectWaitMs)
      }
    }
  }

  #dial(): Promise<NatsConnection> {
    const { servers, secret, tls, name } = this.#options
    return connect({
      servers: [...servers],
      token: secret,
      ...(tls ? { tls: busTls(tls) } : {}),
      name,
      reconnect: true,
      maxReconnectAttempts: -1,
      timeout: connectDeadlineMs,
      reconnectTimeWait: reconnectWaitMs,
      reconnectJitter: reconnectWaitMs,
      pingInterval: pingIntervalMs,
      ignoreAuthErrorAbort: true,
    })
  }

  publish(host: string, batch: AssignmentBatch): void {
    const bytes = Buffer.from(JSON.stringify(batch))
    // Nothing is queued for a server that is away: when it is back, everything is said anew.
    if (this.#closed || !this.#up || !this.#connection) return
    if (bytes.length > maxMessageBytes) {
      this.#options.log.error({ host, bytes: bytes.length }, 'assignments are over the size of a message; not sent')
      return
    }
    this.#connection.publish(subjects.assignments(this.#options.cluster, host), bytes)
  }

  /** Asks a host for everything it has to say, or all of them. */
  wantReports(host?: string): void {
    if (this.#closed || !this.#up || !this.#connection) return
    const { cluster } = this.#options
    const wanted: ReportsWanted = { cluster, ...(host === undefined ? {} : { host }) }
    this.#connection.publish(subjects.reportsWanted(cluster), JSON.stringify(wanted))
  }

  /** Hands to the kernel what was published. */
  async close(): Promise<void> {
    this.#closed = true
    const connection = this.#connection
    if (!connection || connection.isClosed()) return
    await Promise.race([connection.drain(), new Promise((resolve) => setTimeout(resolve, 500).unref())])
    if (!connection.isClosed()) await connection.close()
  }

  #connected(connection: NatsConnection): void {
    if (this.#closed) {
      void connection.close()
      return
    }
    this.#connection = connection
    const { cluster } = this.#options
    connection.subscribe(subjects.reports(cluster), { callback: (_error, message) => this.#report(message) })
    connection.subscribe(subjects.pull(cluster), { callback: (_error, message) => void this.#pull(message) })
    this.#changed(true)
    void this.#watch(connection)
  }

  async #watch(connection: NatsConnection): Promise<void> {
    for await (const status of connection.status()) {
      if (status.type === 'disconnect') this.#changed(false)
      if (status.type === 'reconnect') this.#changed(true)
      if (status.type === 'error') this.#options.log.warn({ err: status.error }, 'NATS')
    }
  }

  #changed(up: boolean): void {
    this.#up = up
    if (up) this.wantReports()
    if (!this.#closed) this.#handlers.connected(up)
  }

  #report(message: Msg): void {
    try {
      this.#handlers.report(message.data)
    } catch (thrown) {
      const { code, message: text } = DroverError.from(thrown)
      this.#options.log.warn({ code }, text)
    }
  }

  async #pull(message: Msg): Promise<void> {
    try {
      const request: unknown = JSON.parse(message.string())
      if (!pullValidator.Check(request) || request.cluster !== this.#options.cluster) {
        throw new DroverError('BAD_REQUEST', 'answer a pull: the request is not {cluster, host, session}')
      }
      const batch = await this.#handlers.pull(request)
      if (batch && this.#up) message.respond(JSON.stringify(batch))
    } catch (thrown) {
      const error = thrown instanceof SyntaxError ? badPull(thrown) : DroverError.from(thrown)
      this.#options.log.warn({ code: error.code }, error.message)
      // Whoever isn't sure to be the leader stays quiet: another controller answers.
      if (error.code === 'BAD_REQUEST' && message.reply) message.respond(JSON.stringify(error.toJSON()))
    }
  }
}

const badPull = (cause: unknown) => new DroverError('BAD_REQUEST', 'answer a pull: it is not JSON', { cause })

function busTls({ authority, certificate, key }: TlsFiles) {
  return { caFile: authority, certFile: certificate, keyFile: key, servername: busTlsName }
}

// The agent's side of the bus: takes assignments, publishes reports, pulls everything now and then. Messages may be lost, repeated or
// forged by a confused peer: each is checked by its schema before anyone sees it, and the store drops what is older than what it has.

import { setTimeout as pause } from 'node:timers/promises'
import {
  AssignmentBatch,
  DroverError,
  type HostChanges,
  type HostReport,
  heartbeatMs,
  maxMessageBytes,
  pullIntervalMs,
  ReportsWanted,
  subjects,
  type TlsFiles,
} from '@drover/protocol'
import { Compile } from '@drover/schema'
import { connect, type Msg, type NatsConnection } from '@nats-io/transport-node'
import { describeViolation } from './describe-violation.ts'
import { bootMs } from './lease-keeper.ts'
import type { Log } from './parts.ts'
import { busTls } from './tls.ts'

export interface BusOptions {
  cluster: string
  host: string
  session: number
  servers: string[]
  secret: string
  tls: TlsFiles | null
  log: Log
  /** Whether pulls ask for the addresses of the other hosts. */
  hosts: boolean
  /** `everything`: what was said before may not have been heard. */
  report(everything: boolean): HostReport | HostChanges
  /** `askedAtMs`: by CLOCK_BOOTTIME, when it is the answer to a pull. */
  take(batch: AssignmentBatch, askedAtMs: number | null): void
}

const validator = Compile(AssignmentBatch)
const wantedValidator = Compile(ReportsWanted)
/** Everything is told no more often than this for those who ask, however many there are. */
const wantedPauseMs = 1_000
const reconnectWaitMs = 200
/** A server that dies during the handshake leaves the attempt hanging; the library’s own 20 s are silence for the cluster. */
const connectDeadlineMs = 2_000
const pullDeadlineMs = 3_000
/** While the leader is unknown or electing, the first answer is waited for more eagerly. */
const firstPullRetryMs = 300
/** After one that nobody answered: the host's lease runs out meanwhile. */
const nextPullRetryMs = 1_000

export class Bus {
  readonly #options: BusOptions
  #connection: NatsConnection | null = null
  #closed = false
  #scheduled = false
  #later: { timer: NodeJS.Timeout; atMs: number } | null = null
  #everything = true
  #wantedAtMs = Number.NEGATIVE_INFINITY
  #wanted: NodeJS.Timeout | null = null
  #pulled = false
  #pulling = false
  #heartbeat: NodeJS.Timeout | null = null
  #pullTimer: NodeJS.Timeout | null = null

  constructor(options: BusOptions) {
    this.#options = options
  }

  /** Connects in the background, for as long as it takes; the agent works on without. */
  start(): void {
    this.#heartbeat = setInterval(() => this.publishSoon(), heartbeatMs)
    void this.#connect()
  }

  /** Publishes a report after everything that happens in this turn of the event loop: many changes, one report. */
  publishSoon(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#publish()
    })
  }

  /** As publishSoon, for what can wait so long for company: each report is work for every controller. */
  publishWithin(ms: number): void {
    const atMs = performance.now() + ms
    if (this.#scheduled || (this.#later && this.#later.atMs <= atMs)) return
    if (this.#later) clearTimeout(this.#later.timer)
    const timer = setTimeout(() => this.publishSoon(), ms)
    timer.unref()
    this.#later = { timer, atMs }
  }

  publishEverythingSoon(): void {
    this.#everything = true
    this.publishSoon()
  }

  async close(): Promise<void> {
    this.#closed = true
    if (this.#wanted) clearTimeout(this.#wanted)
    if (this.#later) clearTimeout(this.#later.timer)
    if (this.#heartbeat) clearInterval(this.#heartbeat)
    if (this.#pullTimer) clearTimeout(this.#pullTimer)
    await this.#connection?.close()
  }

  /** Tried until it succeeds or the bus is closed, which the library's own waiting for a first connection would not notice; null: closed. */
  async #firstConnection(): Promise<NatsConnection | null> {
    while (!this.#closed) {
      try {
        return await this.#dial()
      } catch {
        await pause(reconnectWaitMs)
      }
    }
    return null
  }

  #dial(): Promise<NatsConnection> {
    const { servers, secret, tls, host } = this.#options
    return connect({
      servers,
      token: secret,
      ...(tls ? { tls: busTls(tls) } : {}),
      name: `agent ${host}`,
      reconnect: true,
      maxReconnectAttempts: -1,
      timeout: connectDeadlineMs,
      reconnectTimeWait: reconnectWaitMs,
      reconnectJitter: reconnectWaitMs,
      ignoreAuthErrorAbort: true,
      pingInterval: 5_000,
      maxPingOut: 2,
    })
  }

  async #connect(): Promise<void> {
    const { cluster, host, log } = this.#options
    const connection = await this.#firstConnection()
    if (!connection) return
    if (this.#closed) return connection.close()
    this.#connection = connection
    connection.subscribe(subjects.assignments(cluster, host), {
      callback: (error, message) => {
        if (error) log.warn({ error: error.message }, 'assignments subscription')
        else this.#take(message, null)
      },
    })
    connection.subscribe(subjects.reportsWanted(cluster), {
      callback: (error, message) => {
        if (error) log.warn({ error: error.message }, 'subscription to who wants reports')
        else this.#reportWanted(message)
      },
    })
    log.info({ server: connection.getServer() }, 'connected to the bus')
    this.publishSoon()
    void this.#pull()
    for await (const status of connection.status()) {
      if (this.#closed) return
      if (status.type === 'reconnect') {
        log.info({ server: connection.getServer() }, 'reconnected to the bus')
        this.publishEverythingSoon()
        void this.#pull()
      } else if (status.type === 'disconnect') {
        log.warn({}, 'lost the bus')
      }
    }
  }

  #reportWanted(message: Msg): void {
    const wanted = parsed(message)
    if (!wantedValidator.Check(wanted) || wanted.cluster !== this.#options.cluster) {
      this.#options.log.warn({ subject: message.subject }, 'a message that wants no report was dropped')
      return
    }
    if (this.#wanted || this.#closed || (wanted.host !== undefined && wanted.host !== this.#options.host)) return
    const waitMs = Math.max(0, this.#wantedAtMs + wantedPauseMs - performance.now())
    this.#wanted = setTimeout(() => {
      this.#wanted = null
      this.#wantedAtMs = performance.now()
      this.publishEverythingSoon()
    }, waitMs)
    this.#wanted.unref()
  }

  #publish(): void {
    if (this.#later) clearTimeout(this.#later.timer)
    this.#later = null
    const connection = this.#connection
    if (!connection || connection.isClosed() || this.#closed) return
    const payload = JSON.stringify(this.#options.report(this.#everything))
    this.#everything = false
    if (payload.length > maxMessageBytes) {
      this.#options.log.error({ bytes: payload.length, limit: maxMessageBytes }, 'the report is too large to be sent')
      return
    }
    try {
      connection.publish(subjects.reports(this.#options.cluster), payload)
    } catch (thrown) {
      this.#everything = true
      this.#options.log.warn({ error: DroverError.from(thrown).message }, 'publish report')
    }
  }

  /** Asks the leader for everything; again after a while, however it went. */
  async #pull(): Promise<void> {
    if (this.#pulling || this.#closed || !this.#connection) return
    this.#pulling = true
    if (this.#pullTimer) clearTimeout(this.#pullTimer)
    const { cluster, host, session, log } = this.#options
    let answered = false
    try {
      const request = JSON.stringify({ cluster, host, session, ...(this.#options.hosts ? { hosts: true } : {}) })
      const askedAtMs = bootMs()
      const answer = await this.#connection.request(subjects.pull(cluster), request, { timeout: pullDeadlineMs })
      answered = this.#take(answer, askedAtMs)
      this.#pulled ||= answered
    } catch (thrown) {
      log.debug({ error: DroverError.from(thrown).message }, 'no answer to a pull')
    } finally {
      this.#pulling = false
      if (!this.#closed) {
        const pauseMs = answered ? pullIntervalMs : this.#pulled ? nextPullRetryMs : firstPullRetryMs
        this.#pullTimer = setTimeout(() => void this.#pull(), pauseMs)
        this.#pullTimer.unref()
      }
    }
  }

  #take(message: Msg, askedAtMs: number | null): boolean {
    const value = parsed(message)
    if (value === undefined) {
      this.#options.log.warn({ subject: message.subject }, 'a message that is not JSON was dropped')
      return false
    }
    if (validator.Check(value)) {
      this.#options.take(value, askedAtMs)
      return true
    }
    if (value !== null && typeof value === 'object' && 'error' in value) {
      this.#options.log.debug({ error: DroverError.fromJSON(value).message }, 'the pull was refused')
    } else {
      this.#options.log.warn(
        { subject: message.subject, reason: describeViolation(validator, value) },
        'a bad message was dropped',
      )
    }
    return false
  }
}

/** Undefined: not JSON. */
function parsed(message: Msg): unknown {
  try {
    return JSON.parse(message.string())
  } catch {
    return undefined
  }
}

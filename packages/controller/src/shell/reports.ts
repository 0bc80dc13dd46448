// The last report of every host, checked before it counts. A report is read when somebody looks: only the leader looks at each, and what
// came since replaces what nobody has looked at, so that the reports of a busy cluster cost its followers next to nothing. Changes are
// about the last complete report: without it they say nothing, and it is asked for.

import { DroverError, HostChanges, HostReport, withChanges } from '@drover/protocol'
import { Compile } from '@drover/schema'
import { isNewer, type Observed, type ReceivedReport } from '../core/observed.ts'
import { UseHistory } from '../core/use-history.ts'

/** More hosts than this in one cluster's reports is a defect or an attack. */
const maxHosts = 10_000

/** Without anybody looking, one report of a host is read in this time, for the history of use. */
const readWithinMs = 2_000
/** A complete report is asked for again when it has not come in this time. */
const askAgainMs = 1_000
/** The names that a report begins with are within so many bytes. */
const headBytes = 512
const senderPattern = /^\{"cluster":"([^"\\]+)","host":"([^"\\]+)",("since":)?/

const reportValidator = Compile(HostReport)
const changesValidator = Compile(HostChanges)

interface Unread {
  bytes: Uint8Array
  receivedAtMs: number
}

/** The newest of each kind since the one that was read. */
interface UnreadMessages {
  complete: Unread | null
  changes: Unread | null
}

export interface ReportsListener {
  /** A report turned out to be nonsense when it was read. */
  refused?(error: DroverError): void
  /** What the changes of this host are about was not heard. */
  missing?(host: string): void
}

export class Reports implements Observed {
  readonly #reports = new Map<string, ReceivedReport>()
  readonly #complete = new Map<string, HostReport>()
  readonly #unread = new Map<string, UnreadMessages>()
  readonly #readAtMs = new Map<string, number>()
  readonly #askedAtMs = new Map<string, number>()
  readonly #listener: ReportsListener
  readonly uses = new UseHistory()
  sinceMs: number
  readonly #cluster: string

  constructor(cluster: string, nowMs: number, listener: ReportsListener = {}) {
    this.#cluster = cluster
    this.#listener = listener
    this.sinceMs = nowMs
  }

  get reports(): ReadonlyMap<string, ReceivedReport> {
    for (const host of [...this.#unread.keys()]) this.#read(host)
    return this.#reports
  }

  /**
   * Takes a report in. Returns its host, or null when it is of another cluster or known to be older than the one we have. Throws BAD_REQUEST on
   * nonsense that shows at once.
   */
  receive(bytes: Uint8Array, nowMs: number): string | null {
    const [, cluster, host, since] = senderPattern.exec(Buffer.from(bytes.subarray(0, headBytes)).toString()) ?? []
    if (host === undefined) return this.#takeComplete(bytes, nowMs)
    if (cluster !== this.#cluster) return null
    const unread = this.#unread.get(host)
    if (!unread && this.#unread.size >= maxHosts) throw tooMany(host)
    const message = { bytes, receivedAtMs: nowMs }
    if (since === undefined) this.#unread.set(host, { complete: message, changes: null })
    else this.#unread.set(host, { complete: unread?.complete ?? null, changes: message })
    if (nowMs - (this.#readAtMs.get(host) ?? Number.NEGATIVE_INFINITY) >= readWithinMs) this.#read(host)
    return host
  }

  /** The bus was away: silence in that time says nothing about hosts. */
  listenSince(nowMs: number): void {
    this.sinceMs = nowMs
  }

  #read(host: string): void {
    const unread = this.#unread.get(host)
    if (unread === undefined) return
    this.#unread.delete(host)
    const { complete, changes } = unread
    if (complete) this.#attempt(host, complete, () => this.#takeComplete(complete.bytes, complete.receivedAtMs))
    if (changes) this.#attempt(host, changes, () => this.#takeChanges(changes.bytes, changes.receivedAtMs))
  }

  #attempt(host: string, { receivedAtMs }: Unread, take: () => string | null): void {
    try {
      if (take() === host) this.#readAtMs.set(host, receivedAtMs)
    } catch (thrown) {
      this.#listener.refused?.(DroverError.from(thrown))
    }
  }

  #takeComplete(bytes: Uint8Array, receivedAtMs: number): string | null {
    const report = decode(bytes, reportValidator)
    if (report.cluster !== this.#cluster) return null
    if (!isNewer(report, this.#reports.get(report.host)?.report)) return null
    if (!this.#reports.has(report.host) && this.#reports.size >= maxHosts) throw tooMany(report.host)
    this.#complete.set(report.host, report)
    this.#reports.set(report.host, { report, receivedAtMs })
    this.uses.record(report, receivedAtMs)
    return report.host
  }

  #takeChanges(bytes: Uint8Array, receivedAtMs: number): string | null {
    const changes = decode(bytes, changesValidator)
    if (changes.cluster !== this.#cluster) return null
    if (!isNewer(changes, this.#reports.get(changes.host)?.report)) return null
    const report = withChanges(this.#complete.get(changes.host), changes)
    if (report === null) {
      this.#miss(changes.host, receivedAtMs)
      return null
    }
    this.#reports.set(report.host, { report, receivedAtMs, changed: changes.containers })
    this.uses.record({ ...report, containers: changes.containers }, receivedAtMs)
    return report.host
  }

  #miss(host: string, nowMs: number): void {
    if (nowMs - (this.#askedAtMs.get(host) ?? Number.NEGATIVE_INFINITY) < askAgainMs) return
    if (!this.#askedAtMs.has(host) && this.#askedAtMs.size >= maxHosts) throw tooMany(host)
    this.#askedAtMs.set(host, nowMs)
    this.#listener.missing?.(host)
  }
}

const tooMany = (host: string): DroverError =>
  new DroverError('LIMIT_REACHED', `take a report of host ${host}: ${maxHosts} hosts report already`)

function decode<Message>(
  bytes: Uint8Array,
  validator: { Check(value: unknown): value is Message; Errors(value: unknown): Iterable<Violation> },
): Message {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder().decode(bytes))
  } catch (cause) {
    throw new DroverError('BAD_REQUEST', `read a host report of ${bytes.length} bytes: it is not JSON`, { cause })
  }
  if (validator.Check(value)) return value
  const first = [...validator.Errors(value)][0]
  throw new DroverError('BAD_REQUEST', `read a host report: ${first?.instancePath || '/'} ${first?.message ?? ''}`)
}

interface Violation {
  instancePath: string
  message: string
}

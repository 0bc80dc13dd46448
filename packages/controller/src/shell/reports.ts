// The last report of every host, checked before it counts. A report is read when somebody looks: only the leader looks at each, and what
// came since replaces what nobody has looked at, so that the reports of a busy cluster cost its followers next to nothing.

import { DroverError, HostReport } from '@drover/protocol'
import { Compile } from 'typebox/compile'
import { isNewer, type Observed, type ReceivedReport } from '../core/observed.ts'
import { UseHistory } from '../core/use-history.ts'

/** More hosts than this in one cluster's reports is a defect or an attack. */
const maxHosts = 10_000

/** Without anybody looking, one report of a host is read in this time, for the history of use. */
const readWithinMs = 2_000
/** The names that a report begins with are within so many bytes. */
const headBytes = 512
const senderPattern = /^\{"cluster":"([^"\\]+)","host":"([^"\\]+)",/

const validator = Compile(HostReport)

interface UnreadReport {
  bytes: Uint8Array
  receivedAtMs: number
}

export class Reports implements Observed {
  readonly #reports = new Map<string, ReceivedReport>()
  /** The newest of each host since the one that was read. */
  readonly #unread = new Map<string, UnreadReport>()
  readonly #readAtMs = new Map<string, number>()
  readonly #refused: (error: DroverError) => void
  readonly uses = new UseHistory()
  sinceMs: number
  readonly #cluster: string

  /** `refused`: told of a report that turns out to be nonsense when it is read. */
  constructor(cluster: string, nowMs: number, refused: (error: DroverError) => void = () => {}) {
    this.#cluster = cluster
    this.#refused = refused
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
    const [, cluster, host] = senderPattern.exec(Buffer.from(bytes.subarray(0, headBytes)).toString()) ?? []
    if (host === undefined) return this.#take(bytes, nowMs)
    if (cluster !== this.#cluster) return null
    if (!this.#unread.has(host) && this.#unread.size >= maxHosts) throw tooMany(host)
    this.#unread.set(host, { bytes, receivedAtMs: nowMs })
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
    try {
      if (this.#take(unread.bytes, unread.receivedAtMs) === host) this.#readAtMs.set(host, unread.receivedAtMs)
    } catch (thrown) {
      this.#refused(DroverError.from(thrown))
    }
  }

  #take(bytes: Uint8Array, receivedAtMs: number): string | null {
    const report = decodeReport(bytes)
    if (report.cluster !== this.#cluster) return null
    if (!isNewer(report, this.#reports.get(report.host)?.report)) return null
    if (!this.#reports.has(report.host) && this.#reports.size >= maxHosts) throw tooMany(report.host)
    this.#reports.set(report.host, { report, receivedAtMs })
    this.uses.record(report, receivedAtMs)
    return report.host
  }
}

const tooMany = (host: string): DroverError =>
  new DroverError('LIMIT_REACHED', `take a report of host ${host}: ${maxHosts} hosts report already`)

function decodeReport(bytes: Uint8Array): HostReport {
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

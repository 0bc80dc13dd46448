// The last report of every host, checked before it counts.

import { DroverError, HostReport } from '@drover/protocol'
import { Compile } from 'typebox/compile'
import { isNewer, type Observed, type ReceivedReport } from '../core/observed.ts'
import { UseHistory } from '../core/use-history.ts'

/** More hosts than this in one cluster's reports is a defect or an attack. */
const maxHosts = 10_000

const validator = Compile(HostReport)

export class Reports implements Observed {
  readonly reports = new Map<string, ReceivedReport>()
  readonly uses = new UseHistory()
  sinceMs: number
  readonly #cluster: string

  constructor(cluster: string, nowMs: number) {
    this.#cluster = cluster
    this.sinceMs = nowMs
  }

  /** Takes a report in. Returns its host, or null when it is older than the one we have. Throws BAD_REQUEST on nonsense. */
  receive(bytes: Uint8Array, nowMs: number): string | null {
    const report = decodeReport(bytes)
    if (report.cluster !== this.#cluster) return null
    if (!isNewer(report, this.reports.get(report.host)?.report)) return null
    if (!this.reports.has(report.host) && this.reports.size >= maxHosts) {
      throw new DroverError('LIMIT_REACHED', `take a report of host ${report.host}: ${maxHosts} hosts report already`)
    }
    this.reports.set(report.host, { report, receivedAtMs: nowMs })
    this.uses.record(report, nowMs)
    return report.host
  }

  /** The bus was away: silence in that time says nothing about hosts. */
  listenSince(nowMs: number): void {
    this.sinceMs = nowMs
  }
}

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

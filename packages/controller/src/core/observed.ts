// What the hosts say, as planners see it: the last report of each and when it came. Not committed: every controller hears
// the same reports, so a new leader has them already; it only has to read them.

import { type HostReport, type MigrationStep, type ObservedContainer, silentAfterMs } from '@drover/protocol'
import type { UseHistory } from './use-history.ts'

export interface ReceivedReport {
  report: HostReport
  receivedAtMs: number
  /** Those of its containers that may not be as they were when everything was last said; missing: all. */
  changed?: readonly ObservedContainer[]
}

export interface Observed {
  reports: ReadonlyMap<string, ReceivedReport>
  /** Since when reports are listened to: nobody is called silent sooner than silentAfterMs after that. */
  sinceMs: number
  /** What containers have used; missing where nobody measures. */
  uses?: Pick<UseHistory, 'of'>
}

/** A later session replaces an earlier one; within a session the sequence counts. */
export function isNewer(
  report: Pick<HostReport, 'session' | 'sequence'>,
  than: Pick<HostReport, 'session' | 'sequence'> | undefined,
): boolean {
  if (!than) return true
  if (report.session !== than.session) return report.session > than.session
  return report.sequence > than.sequence
}

/** It was heard just now and can be given work. */
export function isReady(observed: Observed, host: string, nowMs: number): boolean {
  const received = observed.reports.get(host)
  return received?.report.engineUp === true && nowMs - received.receivedAtMs <= silentAfterMs
}

/** Nothing was heard from it for silentAfterMs although we listened. */
export function isSilent(observed: Observed, host: string, nowMs: number): boolean {
  const lastMs = observed.reports.get(host)?.receivedAtMs ?? observed.sinceMs
  return nowMs - Math.max(lastMs, observed.sinceMs) > silentAfterMs
}

export function observedContainer(observed: Observed, host: string, id: string): ObservedContainer | undefined {
  return observed.reports.get(host)?.report.containers.find(({ container }) => container === id)
}

/** Its host knows what its engine has, and the container is not among it. */
export function isGone(observed: Observed, host: string, id: string): boolean {
  return observed.reports.get(host)?.report.engineUp === true && observedContainer(observed, host, id) === undefined
}

export function migrationStep(
  observed: Observed,
  host: string,
  operation: string,
  side: MigrationStep['side'],
): MigrationStep | undefined {
  const report = observed.reports.get(host)?.report
  return report && stepsOf(report).get(`${side} ${operation}`)
}

const indexed = new WeakMap<readonly MigrationStep[], ReadonlyMap<string, MigrationStep>>()

/** By side and operation: a host that is emptied tells of hundreds, and each plan asks for several. */
function stepsOf({ migrations }: HostReport): ReadonlyMap<string, MigrationStep> {
  const known = indexed.get(migrations)
  if (known) return known
  const steps = new Map<string, MigrationStep>()
  // The first of two counts.
  for (const step of migrations) {
    const key = `${step.side} ${step.operation}`
    if (!steps.has(key)) steps.set(key, step)
  }
  indexed.set(migrations, steps)
  return steps
}

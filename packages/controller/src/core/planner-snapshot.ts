// snapshot, snapshot-restore, export, copy and import: each ends as the host says. What comes after (starting a restored or copied one) is as with any start.

import { maxSnapshots, type Operation } from '@drover/protocol'
import { snapshotsOf } from './apply-snapshots.ts'
import type { Entry } from './entries.ts'
import { isSilent } from './observed.ts'
import type { PlanContext } from './planner.ts'
import { planPower, silentHostDeadlineMs } from './planner-power.ts'
import type { StoredContainer } from './state.ts'

/** A disk of hundreds of gigabytes, and with a copy perhaps a slow link. */
export const snapshotDeadlineMs = 6 * 60 * 60_000

export function planSnapshot(context: PlanContext, operation: Operation): Entry[] {
  const { state, observed, nowMs } = context
  if (operation.phase === 'starting') return planPower(context, operation)
  const container = state.tables.containers.get(String(operation.parameters.container))
  if (!container) return [ended(context, operation, 'INTERNAL', 'its container is gone')]
  const result = observed.reports.get(container.host)?.report.snapshots?.find((each) => each.operation === operation.id)
  const base = { atMs: nowMs, operation: operation.id }
  if (result?.state === 'failed') {
    const { code, message } = result.error ?? { code: 'INTERNAL', message: 'the agent gave no reason' }
    return [ended(context, operation, code, message)]
  }
  const { sizeBytes = 0, figures = {} } = result ?? {}
  if (result && operation.kind === 'snapshot') return [{ type: 'SnapshotTaken', ...base, sizeBytes, figures }]
  if (result && operation.kind === 'snapshot-restore') return [{ type: 'SnapshotRestored', ...base, figures }]
  if (result && operation.kind === 'export') {
    const done = { state: 'done', message: `packed on ${container.host}`, error: null } as const
    return [{ type: 'OperationEnded', ...base, ...done, figures: { ...figures, sizeBytes } }]
  }
  const lastedMs = nowMs - operation.createdAtMs
  if (lastedMs > snapshotDeadlineMs) return [ended(context, operation, 'TIMED_OUT', `not done after ${lastedMs} ms`)]
  if (isSilent(observed, container.host, nowMs) && lastedMs > silentHostDeadlineMs) {
    return [ended(context, operation, 'HOST_UNREACHABLE', `host ${container.host} is silent`)]
  }
  return []
}

/** Copies end when the new container runs, or is there when it isn't to run (apply-containers.ts): before that, the host may fail. */
export function planCopy(context: PlanContext, operation: Operation): Entry[] {
  const container = context.state.tables.containers.get(String(operation.parameters.container))
  const results = container && context.observed.reports.get(container.host)?.report.snapshots
  const result = results?.find((each) => each.operation === operation.id)
  if (result?.state !== 'done') return planSnapshot(context, operation)
  if (container?.desired !== 'stopped') return planPower(context, operation)
  const done = { state: 'done', message: `on ${container.host}`, error: null, figures: {} } as const
  return [{ type: 'OperationEnded', atMs: context.nowMs, operation: operation.id, ...done }]
}

/** At once on one host by schedule: they are due together, and the rest waits its turn, not under an operation. */
const scheduledPerHost = 4

/** Those that are due by schedule. A slot is tried once: its operation's id is the slot's. */
export function planSchedule({ state, nowMs }: PlanContext): Entry[] {
  const busy = new Map<string, number>()
  for (const id of state.running) {
    const { kind, parameters } = state.tables.operations.get(id)!
    const host = String(parameters.host)
    if (kind === 'snapshot') busy.set(host, (busy.get(host) ?? 0) + 1)
  }
  const entries: Entry[] = []
  for (const container of state.tables.containers.values()) {
    const { scheduleMs = null, expiryMs = null } = container.spec.snapshots ?? {}
    if (scheduleMs === null || container.operation !== null || container.state !== 'running') continue
    if (snapshotsOf(container).length >= maxSnapshots) continue
    const slot = Math.floor(nowMs / scheduleMs)
    const sinceMs = Math.max(container.createdAtMs, ...scheduledOf(container).map(({ createdAtMs }) => createdAtMs))
    const operation = `scheduled-${container.id}-${slot}`
    const under = busy.get(container.host) ?? 0
    if (Math.floor(sinceMs / scheduleMs) >= slot || state.tables.operations.has(operation) || under >= scheduledPerHost)
      continue
    busy.set(container.host, under + 1)
    entries.push({
      type: 'SnapshotRequested',
      atMs: nowMs,
      operation,
      container: container.name,
      name: snapshotNameAt('auto', nowMs),
      memory: false,
      expiresAtMs: expiryMs === null ? null : nowMs + expiryMs,
      scheduled: true,
    })
  }
  return entries
}

/** By its time, UTC. */
export const snapshotNameAt = (prefix: string, atMs: number): string =>
  `${prefix}-${new Date(atMs).toISOString().slice(0, 19).replace(/[-:]/g, '').replace('T', '-')}`

const scheduledOf = (container: StoredContainer) => snapshotsOf(container).filter(({ scheduled }) => scheduled)

/** Snapshots whose time is over, and scheduled ones that newer ones have replaced. Nothing is done to a container that something else is done to. */
export function planExpiry({ state, nowMs }: PlanContext): Entry[] {
  const entries: Entry[] = []
  for (const container of state.tables.containers.values()) {
    if (container.operation !== null || container.deleting) continue
    const names = expired(container, nowMs)
    if (names.length > 0) entries.push({ type: 'SnapshotsExpired', atMs: nowMs, container: container.id, names })
  }
  return entries
}

function expired(container: StoredContainer, nowMs: number): string[] {
  const keep = container.spec.snapshots?.keep ?? null
  const replaced = keep === null ? [] : scheduledOf(container).slice(0, -keep)
  const over = snapshotsOf(container).filter(({ expiresAtMs }) => expiresAtMs !== null && expiresAtMs <= nowMs)
  return [...new Set([...over, ...replaced].map(({ name }) => name))]
}

function ended({ nowMs }: PlanContext, operation: Operation, code: string, reason: string): Entry {
  const { snapshot, host } = operation.parameters
  const what = typeof snapshot === 'string' ? ` (${snapshot})` : ''
  const message = `${operation.kind} of ${operation.target}${what} on host ${String(host)}: ${reason}`
  const error = { code, message }
  return { type: 'OperationEnded', atMs: nowMs, operation: operation.id, state: 'failed', message, error, figures: {} }
}

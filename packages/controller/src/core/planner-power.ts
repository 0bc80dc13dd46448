// launch, start, stop, restart, freeze, thaw, delete, rebuild: their good end comes with the observation (apply-containers.ts); here is what
// happens when it doesn't come. The agent repeats a step that failed, so a failure is final only when it lasts.

import type { Operation } from '@drover/protocol'
import type { Entry } from './entries.ts'
import { isSilent, observedContainer } from './observed.ts'
import { phaseSinceMs } from './operations.ts'
import type { PlanContext } from './planner.ts'

/** A first start may have to fetch an image of gigabytes over a slow link. */
export const launchDeadlineMs = 15 * 60_000
/** The agent's longest stop timeout is ten minutes, and then it kills. */
export const powerDeadlineMs = 11 * 60_000
/** A silent host may come back: its agent was restarted, a switch rebooted. */
export const silentHostDeadlineMs = 60_000
/** A failure that repetition hasn't mended for this long is the answer. */
export const failureGraceMs = 5_000

export function planPower(context: PlanContext, operation: Operation): Entry[] {
  const { state, observed, nowMs } = context
  const container = state.tables.containers.get(String(operation.parameters.container))
  if (!container) return [ended(context, operation, 'INTERNAL', 'its container is gone')]
  const deadlineMs = ['launch', 'start', 'restart', 'heal', 'rebuild'].includes(operation.kind)
    ? launchDeadlineMs
    : powerDeadlineMs
  const lastedMs = nowMs - operation.createdAtMs
  if (lastedMs > deadlineMs) {
    return [ended(context, operation, 'TIMED_OUT', `not done after ${Math.round(lastedMs / 1000)} s`)]
  }
  if (isSilent(observed, container.host, nowMs) && lastedMs > silentHostDeadlineMs) {
    return [ended(context, operation, 'HOST_UNREACHABLE', `host ${container.host} is silent`)]
  }
  const seen = observedContainer(observed, container.host, container.id)
  if (seen?.epoch !== container.epoch || seen.revision < container.assignedRevision) return []
  if (seen.state !== 'failed' && seen.errorCode === null) return []
  const message = seen.message ?? 'the agent gave no reason'
  if (operation.kind === 'set' && seen.configured === false && isRefusal(seen.errorCode))
    return [ended(context, operation, seen.errorCode ?? 'ENGINE_FAILED', message)]
  if (operation.phase !== 'retrying') return [retrying(context, operation, message)]
  if (nowMs - phaseSinceMs(operation) < failureGraceMs) return []
  return [ended(context, operation, seen.errorCode ?? 'ENGINE_FAILED', message)]
}

/** What a host answers to a change that it can't make, however often it is asked. Only then: an engine that is being replaced answers again. */
const isRefusal = (code: string | null) =>
  [
    'BAD_REQUEST',
    'WRONG_STATE',
    'DEVICE_NOT_FOUND',
    'ENGINE_FAILED',
    'NAME_TAKEN',
    'VOLUME_NOT_FOUND',
    'BUSY',
  ].includes(code ?? '')

function retrying({ nowMs }: PlanContext, operation: Operation, message: string): Entry {
  const progress = { ...operation.progress, message: `failed, trying again: ${message}` }
  return { type: 'OperationAdvanced', atMs: nowMs, operation: operation.id, phase: 'retrying', progress }
}

function ended({ nowMs }: PlanContext, operation: Operation, code: string, reason: string): Entry {
  const message = `${operation.kind} ${operation.target} on host ${String(operation.parameters.host)}: ${reason}`
  const error = { code, message }
  return { type: 'OperationEnded', atMs: nowMs, operation: operation.id, state: 'failed', message, error, figures: {} }
}

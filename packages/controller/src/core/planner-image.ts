// Images under way: the host that builds or makes one reports progress and the result.

import type { Image, ImageOrigin, ImageProperties, Operation } from '@drover/protocol'
import type { Entry } from './entries.ts'
import { isSilent } from './observed.ts'
import type { PlanContext } from './planner.ts'
import { silentHostDeadlineMs } from './planner-power.ts'

/** A Debian image fetches some 200 MB of packages. */
export const imageBuildDeadlineMs = 60 * 60_000
/** Progress lines come by the dozen per second; more than this is nothing for a person. */
export const progressIntervalMs = 500

export function planImageBuild({ observed, nowMs }: PlanContext, operation: Operation): Entry[] {
  const host = String(operation.parameters.host)
  const result = observed.reports.get(host)?.report.imageTasks.find((task) => task.operation === operation.id)
  const fail = (code: string, message: string): Entry[] => [
    {
      type: 'OperationEnded',
      atMs: nowMs,
      operation: operation.id,
      state: 'failed',
      message,
      error: { code, message },
      figures: {},
    },
  ]
  if (result?.state === 'done' && result.image) {
    const properties = {
      ...result.image.properties,
      ...(operation.parameters.properties as ImageProperties | undefined),
    }
    const origin = operation.parameters.origin as ImageOrigin | undefined
    const made = { ...result.image, name: operation.target, createdAtMs: nowMs, builtOn: host, properties }
    const image: Image = origin === undefined ? made : { ...made, origin }
    return [{ type: 'ImageRegistered', atMs: nowMs, operation: operation.id, image }]
  }
  if (result?.state === 'failed') return fail(result.error?.code ?? 'INTERNAL', result.error?.message ?? result.message)
  const lastedMs = nowMs - operation.createdAtMs
  const building = `${operation.kind} of ${operation.target} on host ${host}`
  if (lastedMs > imageBuildDeadlineMs) return fail('TIMED_OUT', `${building}: not done after ${lastedMs} ms`)
  if (isSilent(observed, host, nowMs) && lastedMs > silentHostDeadlineMs) {
    return fail('HOST_UNREACHABLE', `${building}: the host is silent`)
  }
  const news = result?.state === 'running' && result.message !== operation.progress.message
  if (!news || nowMs - operation.updatedAtMs < progressIntervalMs) return []
  const progress = { ...operation.progress, message: result.message }
  return [{ type: 'OperationAdvanced', atMs: nowMs, operation: operation.id, phase: operation.phase, progress }]
}

// How the engine is asked to stop a container that is assigned.

import type { EngineMethods } from '@drover/engine'
import type { Assignment } from '@drover/protocol'
import { defaultStopTimeoutMs } from '../engine-port.ts'

export function stopParams(assignment: Assignment): EngineMethods['stop']['params'] {
  const { container, epoch, spec, stopTimeoutMs: timeoutMs = defaultStopTimeoutMs } = assignment
  const signal = spec.stop?.signal ?? null
  return { container, epoch, timeoutMs, ...(signal === null ? {} : { signal }) }
}

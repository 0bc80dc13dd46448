// set: done when the host reports the change in force; failed, and taken back, when it says that it can't or isn't heard.

import type { Operation } from '@drover/protocol'
import type { Entry } from './entries.ts'
import { observedContainer } from './observed.ts'
import type { PlanContext } from './planner.ts'
import { planPower } from './planner-power.ts'

export function planSet(context: PlanContext, operation: Operation): Entry[] {
  const { state, observed, nowMs } = context
  const container = state.tables.containers.get(String(operation.parameters.container))
  const seen = container && observedContainer(observed, container.host, container.id)
  const taken = seen?.epoch === container?.epoch && seen !== undefined && seen.revision >= container!.assignedRevision
  if (!taken || seen.configured === false || seen.errorCode !== null) return planPower(context, operation)
  return [
    {
      type: 'OperationEnded',
      atMs: nowMs,
      operation: operation.id,
      state: 'done',
      message: `in force on ${container!.host}`,
      error: null,
      figures: {},
    },
  ]
}

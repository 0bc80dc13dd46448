// Emptying a host: it is closed to new containers first, then the whole plan is committed, then its moves begin as
// operations of their own whose parent this one is.

import type { Operation } from '@drover/protocol'
import { setCordoned } from './apply-hosts.ts'
import { runningOperation } from './apply-operations.ts'
import type { Draft } from './draft.ts'
import type { EntryOf } from './entries.ts'
import { plannedMoves } from './move-set.ts'
import { beginOperation, begunBefore, nameOf, operationOnHost } from './operations.ts'

export function applyEvacuationStarted(draft: Draft, entry: EntryOf<'EvacuationStarted'>): Operation {
  const before = begunBefore(draft, entry.operation, 'evacuate', entry.host)
  if (before) return before
  const host = draft.host(entry.host)
  const busy = operationOnHost(draft.state, entry.host)
  if (busy) {
    draft.refuse('BUSY', `evacuate host ${entry.host}: its ${nameOf(busy)} ${busy.id} is under way`, {
      operation: busy.id,
    })
  }
  setCordoned(draft, host, true, entry.operation)
  return beginOperation(draft, {
    id: entry.operation,
    kind: 'evacuate',
    target: entry.host,
    phase: 'planning',
    message: entry.reason ?? 'planning',
    total: 0,
    parameters: {
      parallel: entry.parallel,
      plan: null,
      ...(entry.deadlineMs === undefined ? {} : { deadlineMs: entry.deadlineMs }),
      ...(entry.mayMakeRoom === undefined ? {} : { mayMakeRoom: entry.mayMakeRoom }),
      ...(entry.reason === undefined ? {} : { reason: entry.reason }),
      ...(entry.leave === undefined ? {} : { leave: entry.leave }),
      ...(entry.leaveOf === undefined ? {} : { leaveOf: entry.leaveOf }),
    },
  })
}

/** Adds to the plan: what was on the host when it was closed, and later what a move already under way brought to it. */
export function applyEvacuationPlanned(draft: Draft, entry: EntryOf<'EvacuationPlanned'>): Operation {
  const operation = runningOperation(draft, entry.operation)
  if (operation.kind !== 'evacuate') {
    draft.refuse('WRONG_STATE', `operation ${operation.id} is no evacuation`, { operation: operation.id })
  }
  const known = plannedMoves(operation) ?? []
  const added = entry.plan.filter(({ container }) => !known.some((move) => move.container === container))
  const plan = [...known, ...added]
  const { etaMs } = entry
  const lasts =
    etaMs === undefined || plan.length === 0 ? '' : `; about ${Math.max(1, Math.round(etaMs / 1000))} s to go`
  const message = `${plan.length} containers to move${lasts}`
  const planned = draft.putOperation({
    ...operation,
    phase: 'moving',
    progress: { done: operation.progress.done, total: plan.length, message },
    parameters: {
      ...operation.parameters,
      plan,
      phaseSinceMs: draft.atMs,
      ...(etaMs === undefined ? {} : { etaMs }),
    },
  })
  const stuck = plan.filter(({ destination, how }) => destination === null && how === undefined).length
  const but = stuck > 0 ? `; no host can take ${stuck} of them now` : ''
  draft.event(
    'evacuation.planned',
    operation.target,
    `host ${operation.target}: ${plan.length} containers to move${but}`,
    operation.id,
  )
  return planned
}

// Operations of every kind: progress, end, and the wish to cancel.

import type { Operation, PowerState } from '@drover/protocol'
import { applyContainerObserved } from './apply-containers.ts'
import { volumesMade } from './apply-volumes.ts'
import type { Draft } from './draft.ts'
import type { EntryOf } from './entries.ts'
import { endOperation } from './operations.ts'
import { waitsLonger } from './preemption.ts'
import type { StoredContainer } from './state.ts'
import { makesOne, undo } from './undo-operation.ts'

export function applyOperationAdvanced(draft: Draft, entry: EntryOf<'OperationAdvanced'>): Operation {
  const operation = runningOperation(draft, entry.operation)
  const phaseSinceMs = entry.phase === operation.phase ? operation.parameters.phaseSinceMs : draft.atMs
  const advanced = draft.putOperation({
    ...operation,
    phase: entry.phase,
    progress: entry.progress,
    parameters: { ...operation.parameters, phaseSinceMs },
  })
  const { done, total, message } = entry.progress
  draft.event('operation.progress', operation.target, `${message} (${done} of ${total})`, operation.id)
  return advanced
}

export function applyOperationEnded(draft: Draft, entry: EntryOf<'OperationEnded'>): Operation {
  const operation = runningOperation(draft, entry.operation)
  const { migration } = operation
  if (!migration) {
    if (entry.state !== 'done') undo(draft, operation)
    else if (operation.kind === 'set') settleVolumes(draft, operation)
    return endOperation(draft, operation, entry)
  }
  const committed = migration.phase === 'committed' || migration.phase === 'cleaning'
  const fits = committed ? entry.state !== 'cancelled' : migration.phase === 'aborted' && entry.state !== 'done'
  if (!fits) {
    draft.refuse('WRONG_STATE', `end move ${operation.id} as ${entry.state}: it is ${migration.phase}`, {
      operation: operation.id,
    })
  }
  const container = draft.state.tables.containers.get(migration.container)
  if (container) {
    const landed =
      container.state === 'migrating'
        ? settledState(committed && entry.state !== 'done', container.desired)
        : container.state
    const waits = container.preempted ? { preempted: waitsLonger(container.preempted, draft.atMs) } : {}
    draft.reassign({
      ...container,
      ...waits,
      state: landed,
      message: landed === 'unknown' ? entry.message : container.message,
    })
  }
  const figures = { ...migration.figures, ...entry.figures }
  const phase = entry.state === 'done' ? 'done' : migration.phase
  if (committed && container) observeThere(draft, entry, container)
  return endOperation(draft, { ...operation, migration: { ...migration, phase, figures } }, entry)
}

function settleVolumes(draft: Draft, { parameters }: Operation): void {
  const container = draft.state.tables.containers.get(String(parameters.container))
  if (container) volumesMade(draft, container)
}

/** What is true no more by now is not news. */
function observeThere(draft: Draft, { observed, atMs }: EntryOf<'OperationEnded'>, moved: StoredContainer): void {
  if (observed?.container !== moved.id || observed.host !== moved.host || observed.epoch !== moved.epoch) return
  applyContainerObserved(draft, { ...observed, type: 'ContainerObserved', atMs })
}

export function applyCancelRequested(draft: Draft, entry: EntryOf<'CancelRequested'>): Operation {
  const operation = draft.operation(entry.operation)
  if (operation.state === 'cancelled' || operation.cancelRequested) return operation
  if (operation.state !== 'running') {
    draft.refuse('WRONG_STATE', `cancel ${operation.id}: it has ended as ${operation.state}`, {
      operation: operation.id,
    })
  }
  const phase = operation.migration?.phase
  if (phase === 'committed' || phase === 'cleaning') {
    draft.refuse('WRONG_STATE', `cancel ${operation.id}: the move is ${phase}, it can’t be taken back`, {
      operation: operation.id,
    })
  }
  const asked = draft.putOperation({ ...operation, cancelRequested: true })
  draft.event(
    'operation.cancelling',
    operation.target,
    `${operation.kind} of ${operation.target}: cancel asked`,
    asked.id,
  )
  // Moves and evacuations have something to undo or to finish first: their planners end them.
  if (['move', 'evacuate', 'restore', 'rebalance'].includes(operation.kind)) return asked
  return cancelNow(draft, asked)
}

function cancelNow(draft: Draft, operation: Operation): Operation {
  const container = draft.state.tables.containers.get(String(operation.parameters.container ?? ''))
  if (operation.kind === 'launch' && container) {
    draft.reassign({ ...container, deleting: true, state: 'deleting' })
  }
  undo(draft, operation)
  const message =
    operation.kind === 'launch' || makesOne(operation) ? 'cancelled; what was made of it is removed' : 'cancelled'
  return endOperation(draft, operation, {
    state: 'cancelled',
    message,
    error: { code: 'CANCELLED', message: `${operation.kind} ${operation.target}: cancelled` },
  })
}

export function runningOperation(draft: Draft, id: string): Operation {
  const operation = draft.operation(id)
  if (operation.state !== 'running') {
    draft.refuse('WRONG_STATE', `operation ${id} has ended as ${operation.state}`, { operation: id })
  }
  return operation
}

/** What a container counts as after a move, until its host's next report says it exactly. */
function settledState(unheard: boolean, desired: PowerState) {
  return unheard ? 'unknown' : desired
}

// What an operation that comes to nothing leaves to be put right.

import type { Operation } from '@drover/protocol'
import { takeBackRestart } from './apply-power.ts'
import { takeBack } from './apply-set.ts'
import type { Draft } from './draft.ts'
import { preemptedBefore, waitsLonger } from './preemption.ts'
import type { StoredContainer } from './state.ts'

/** What must be as it was before when an operation comes to nothing. */
export function undo(draft: Draft, operation: Operation): void {
  takeBack(draft, operation)
  takeBackRestore(draft, operation)
  takeBackRestart(draft, operation)
  takeBackPreemption(draft, operation)
  waitAgain(draft, operation)
  removeHalfCopy(draft, operation)
}

/** It hasn't stopped: it goes on. */
function takeBackPreemption(draft: Draft, operation: Operation): void {
  if (operation.kind !== 'preempt') return
  const container = draft.state.tables.containers.get(String(operation.parameters.container))
  if (container) draft.reassign({ ...container, desired: 'running' })
}

/** It could not be started again: it waits as before, and longer. */
function waitAgain(draft: Draft, operation: Operation): void {
  const preempted = preemptedBefore(operation)
  const container = draft.state.tables.containers.get(String(operation.parameters.container))
  if (!container || preempted === null || container.preempted !== undefined) return
  draft.reassign({ ...container, desired: 'stopped', preempted: waitsLonger(preempted, draft.atMs) })
}

/** Before a restore ends without success: it is to be on or off as it was. */
function takeBackRestore(draft: Draft, operation: Operation): void {
  if (operation.kind !== 'snapshot-restore' || operation.phase === 'starting') return
  const container = draft.state.tables.containers.get(String(operation.parameters.container))
  const desired = operation.parameters.desired as StoredContainer['desired'] | undefined
  if (container && desired) draft.reassign({ ...container, desired })
}

/** Without its disk it is nothing; one that was there before still has its own. */
function removeHalfCopy(draft: Draft, operation: Operation): void {
  if (!makesOne(operation)) return
  const container = draft.state.tables.containers.get(String(operation.parameters.container))
  if (container) draft.reassign({ ...container, deleting: true, state: 'deleting' })
}

/** It gives a container a disk that has none. */
export const makesOne = ({ kind, parameters }: Operation): boolean =>
  kind === 'import' || (kind === 'copy' && parameters.refresh !== true)

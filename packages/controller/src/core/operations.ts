// How an operation begins and ends, for every kind alike. Idempotent: beginning one whose id exists gives that one back,
// if it asks for the same thing.

import type { Operation, OperationKind } from '@drover/protocol'
import type { Draft } from './draft.ts'
import type { ClusterState } from './state.ts'

/** Ended operations beyond this are forgotten, the oldest first; their idempotency keys with them. */
export const maxOperations = 2000
/** How many are forgotten at once, so that sorting them is rare. */
const forgetAtOnce = 200

export interface Beginning {
  id: string
  kind: OperationKind
  target: string
  phase: string
  message: string
  total?: number
  parent?: string | null
  parameters?: Record<string, unknown>
  migration?: Operation['migration']
}

/** The operation of that id when it has begun before; refuses when the id stands for something else. */
export function begunBefore(draft: Draft, id: string, kind: OperationKind, target: string): Operation | undefined {
  const operation = draft.state.tables.operations.get(id)
  if (!operation) return undefined
  if (operation.kind === kind && operation.target === target) return operation
  return draft.refuse(
    'BAD_REQUEST',
    `begin ${kind} of ${target}: idempotency key was used for ${operation.kind} of ${operation.target} before`,
    { operation: id },
  )
}

export function beginOperation(draft: Draft, beginning: Beginning): Operation {
  forgetOld(draft)
  const operation = draft.putOperation({
    id: beginning.id,
    kind: beginning.kind,
    target: beginning.target,
    state: 'running',
    phase: beginning.phase,
    progress: { done: 0, total: beginning.total ?? 1, message: beginning.message },
    cancelRequested: false,
    parent: beginning.parent ?? null,
    error: null,
    migration: beginning.migration ?? null,
    parameters: { ...beginning.parameters, phaseSinceMs: draft.atMs },
    createdAtMs: draft.atMs,
    updatedAtMs: draft.atMs,
    endedAtMs: null,
    revision: draft.index,
  })
  draft.event('operation.started', operation.target, `${operation.kind} of ${operation.target}: started`, operation.id)
  return operation
}

export interface Ending {
  state: 'done' | 'failed' | 'cancelled'
  message: string
  error: { code: string; message: string } | null
}

/** Ends it and gives its container free. */
export function endOperation(draft: Draft, operation: Operation, ending: Ending): Operation {
  const ended = draft.putOperation({
    ...operation,
    state: ending.state,
    phase: operation.migration ? operation.migration.phase : ending.state,
    progress: {
      done: ending.state === 'done' ? operation.progress.total : operation.progress.done,
      total: operation.progress.total,
      message: ending.message,
    },
    error: ending.error ?? operation.error,
    endedAtMs: draft.atMs,
  })
  for (const id of lockedContainers(operation)) {
    const container = draft.state.tables.containers.get(id)
    if (container?.operation === operation.id) draft.putContainer({ ...container, operation: null })
  }
  const why = ended.error && ending.state !== 'done' ? `: ${ended.error.message}` : ''
  draft.event(
    `operation.${ending.state}`,
    operation.target,
    `${operation.kind} of ${operation.target}: ${ending.state}${why || (ending.message ? `: ${ending.message}` : '')}`,
    operation.id,
  )
  return ended
}

/** The one it is about, and the one that is copied. */
const lockedContainers = ({ parameters }: Operation): string[] =>
  [parameters.container, parameters.source].filter((id) => typeof id === 'string')

/** A running operation on the host itself, if there is one. */
export function operationOnHost(state: ClusterState, host: string): Operation | undefined {
  for (const id of state.running) {
    const operation = state.tables.operations.get(id)!
    if (['evacuate', 'restore'].includes(operation.kind) && operation.target === host) return operation
  }
  return undefined
}

export const nameOf = ({ kind }: Operation): string => (kind === 'evacuate' ? 'evacuation' : kind)

export const phaseSinceMs = (operation: Operation): number =>
  typeof operation.parameters.phaseSinceMs === 'number' ? operation.parameters.phaseSinceMs : operation.createdAtMs

function forgetOld(draft: Draft): void {
  const { operations } = draft.state.tables
  if (operations.size < maxOperations) return
  const ended = [...operations.values()]
    .filter(({ endedAtMs, parent }) => endedAtMs !== null && !(parent !== null && draft.state.running.has(parent)))
    .sort((left, right) => left.revision - right.revision || (left.id < right.id ? -1 : 1))
  for (const { id } of ended.slice(0, forgetAtOnce)) draft.write({ table: 'operations', key: id, value: null })
}

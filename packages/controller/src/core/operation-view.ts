// Operations as the API shows them: what is committed, and of moves under way what the hosts have measured since, which is not worth
// committing: it changes by the second.

import type { Operation } from '@drover/protocol'
import { type MoveQueue, moveQueue } from './move-queue.ts'
import { migrationStep, type Observed } from './observed.ts'
import { policyOf } from './scheduling-policy.ts'
import { type ClusterState, runningOperations } from './state.ts'

export function operationViews(state: ClusterState, observed: Observed): Operation[] {
  const queue = queueOf(state)
  return [...state.tables.operations.values()]
    .sort((left, right) => left.createdAtMs - right.createdAtMs || (left.id < right.id ? -1 : 1))
    .map((operation) => withNews(operation, observed, queue))
}

export function operationView(state: ClusterState, observed: Observed, id: string): Operation | undefined {
  const operation = state.tables.operations.get(id)
  if (!operation?.migration || operation.state !== 'running') return operation
  return withNews(operation, observed, operation.migration.phase === 'planned' ? queueOf(state) : nobodyWaits)
}

const nobodyWaits: MoveQueue = { admitted: new Set(), positions: new Map() }

const queueOf = (state: ClusterState): MoveQueue => moveQueue(runningOperations(state), policyOf(state).moves)

function withNews(operation: Operation, observed: Observed, queue: MoveQueue): Operation {
  const { migration } = operation
  if (!migration || operation.state !== 'running') return operation
  const place = queue.positions.get(operation.id)
  if (place !== undefined) {
    const message = `${migration.source} → ${migration.destination}: waits, ${place} of ${queue.positions.size} in line`
    return { ...operation, progress: { ...operation.progress, message } }
  }
  const source = migrationStep(observed, migration.source, operation.id, 'source')
  const destination = migrationStep(observed, migration.destination, operation.id, 'destination')
  if (!source && !destination) return operation
  return {
    ...operation,
    migration: { ...migration, figures: { ...migration.figures, ...source?.figures, ...destination?.figures } },
  }
}

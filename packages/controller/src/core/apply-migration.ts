// A migration's phases. The one point that decides is MigrationCommitted or MigrationAborted, whichever is applied first:
// the other is refused, so exactly one host may run the container afterwards.

import {
  type ContainerState,
  describePins,
  type Migration,
  type MigrationFigures,
  type MigrationPhase,
  type Operation,
  pinsOf,
} from '@drover/protocol'
import { checkRoom } from './apply-launch.ts'
import { runningOperation } from './apply-operations.ts'
import { refuseBusy } from './apply-power.ts'
import { volumesMoved } from './apply-volumes.ts'
import type { Draft } from './draft.ts'
import type { EntryOf } from './entries.ts'
import { rememberMove } from './move-memory.ts'
import { maxWaitingMoves, placesForAny, waitingMoves } from './move-queue.ts'
import { beginOperation, begunBefore, phaseSinceMs } from './operations.ts'
import { policyOf } from './scheduling-policy.ts'
import { hasVolumes } from './volumes.ts'

const movableBy: Record<Migration['mode'], readonly ContainerState[]> = {
  live: ['running'],
  frozen: ['running', 'frozen'],
  cold: ['running', 'frozen', 'stopped'],
}

export function applyMoveStarted(draft: Draft, entry: EntryOf<'MoveStarted'>): Operation {
  const before = begunBefore(draft, entry.operation, 'move', entry.container)
  if (before) return before
  const container = draft.containerNamed(entry.container)
  const { name } = container
  refuseBusy(draft, container, 'move')
  if (container.host === entry.destination) {
    draft.refuse('SAME_HOST', `move ${name}: it is on ${entry.destination} already`, { container: name })
  }
  const movable = movableBy[entry.mode].includes(container.state)
  if (!movable || container.deleting) {
    draft.refuse('WRONG_STATE', `move ${name} ${entry.mode}: it is ${container.state}`, { container: name })
  }
  const pins = pinsOf(container.spec.devices)
  if (pins.length > 0) {
    draft.refuse('NOT_MIGRATABLE', `move ${name}: devices pin it to ${container.host}: ${describePins(pins)}`, {
      container: name,
      devices: pins.map(({ device }) => device).join(),
    })
  }
  if (entry.parent !== null) {
    const parent = runningOperation(draft, entry.parent)
    if (parent.cancelRequested) draft.refuse('CANCELLED', `move ${name}: ${parent.kind} ${parent.id} was cancelled`)
  }
  const waiting = waitingMoves(draft.state)
  if (waiting >= maxWaitingMoves) draft.refuse('LIMIT_REACHED', `move ${name}: ${waiting} moves wait in line already`)
  checkRoom(draft, entry.destination, container.spec.requests, `move ${name}`)
  const prepares = entry.mayPrepare === true && placesForAny(draft.state, policyOf(draft.state).moves) > 0
  const migration: Migration = {
    container: container.id,
    source: container.host,
    destination: entry.destination,
    mode: entry.mode,
    phase: 'planned',
    nextEpoch: container.epoch + 1,
    figures: {},
    ...termsOf(draft, entry),
    // To stand still before the other side is ready would be for nothing.
    ...(prepares && entry.mode !== 'frozen' ? { precopiesAtOnce: true } : {}),
  }
  draft.reassign({ ...container, state: 'migrating', operation: entry.operation })
  const reason = entry.reason ?? 'asked for'
  rememberMove(draft, entry, container)
  const operation = beginOperation(draft, {
    id: entry.operation,
    kind: 'move',
    target: name,
    phase: 'planned',
    message: `${container.host} → ${entry.destination}`,
    total: stepsOf.length,
    parent: entry.parent,
    parameters: {
      container: container.id,
      placement: entry.placement,
      reason,
      ...(hasVolumes(container.spec) ? { volumeCopy: draft.index } : {}),
    },
    migration,
  })
  draft.event(
    'migration.planned',
    name,
    `${name}: ${entry.mode} move from ${container.host} to ${entry.destination}: ${reason}`,
    operation.id,
  )
  return prepares ? enterPhase(draft, operation, migration, 'preparing', {}) : operation
}

/** Limits as they are when it begins. */
function termsOf(draft: Draft, entry: EntryOf<'MoveStarted'>): Pick<Migration, 'terms'> {
  const hostBytesPerS = policyOf(draft.state).moves?.bandwidthBytesPerS
  if (entry.terms === undefined && hostBytesPerS === undefined) return {}
  return { terms: { ...entry.terms, ...(hostBytesPerS === undefined ? {} : { hostBytesPerS }) } }
}

export function applyMigrationAdvanced(draft: Draft, entry: EntryOf<'MigrationAdvanced'>): Operation {
  const { operation, migration } = movingOperation(draft, entry.operation)
  const skips = entry.phase === 'switching' && migration.phase === 'preparing' && migration.precopiesAtOnce === true
  if (migration.phase !== precedes[entry.phase] && !skips) {
    draft.refuse('WRONG_STATE', `move ${operation.target} on to ${entry.phase}: it is ${migration.phase}`)
  }
  return enterPhase(draft, operation, migration, entry.phase, entry.figures)
}

export function applyMigrationCommitted(draft: Draft, entry: EntryOf<'MigrationCommitted'>): Operation {
  const { operation, migration } = movingOperation(draft, entry.operation)
  if (migration.phase !== 'switching') {
    draft.refuse('WRONG_STATE', `commit the move of ${operation.target}: it is ${migration.phase}, not switching`)
  }
  const container = draft.state.tables.containers.get(migration.container)!
  const committed = enterPhase(draft, operation, migration, 'committed', entry.figures)
  volumesMoved(draft, container, operation.id, migration.destination)
  // Room for all of it was kept there.
  const { preempted, ...rest } = container
  draft.reassign({
    ...rest,
    desired: preempted?.resumes ? 'running' : container.desired,
    host: migration.destination,
    epoch: migration.nextEpoch,
    placement: operation.parameters.placement as typeof container.placement,
  })
  draft.event(
    'container.moved',
    container.name,
    `${container.name} moved from ${migration.source} to ${migration.destination}`,
    operation.id,
  )
  return committed
}

export function applyMigrationAborted(draft: Draft, entry: EntryOf<'MigrationAborted'>): Operation {
  const { operation, migration } = movingOperation(draft, entry.operation)
  if (!['planned', 'preparing', 'precopying', 'switching'].includes(migration.phase)) {
    draft.refuse('WRONG_STATE', `abort the move of ${operation.target}: it is ${migration.phase}`)
  }
  return enterPhase(draft, { ...operation, error: entry.error }, migration, 'aborted', entry.figures)
}

const precedes: Record<EntryOf<'MigrationAdvanced'>['phase'], MigrationPhase> = {
  preparing: 'planned',
  precopying: 'preparing',
  switching: 'precopying',
  cleaning: 'committed',
}
const stepsOf: readonly MigrationPhase[] = ['preparing', 'precopying', 'switching', 'committed', 'cleaning', 'done']

function enterPhase(
  draft: Draft,
  operation: Operation,
  migration: Migration,
  phase: MigrationPhase,
  figures: MigrationFigures,
): Operation {
  const lasted = Math.max(draft.atMs - phaseSinceMs(operation), 0)
  const container = draft.state.tables.containers.get(migration.container)!
  draft.reassign(container)
  const way = `${migration.source} → ${migration.destination}`
  const advanced = draft.putOperation({
    ...operation,
    phase,
    progress: {
      done: phase === 'aborted' ? operation.progress.done : stepsOf.indexOf(phase),
      total: stepsOf.length,
      message: `${way}: ${phase}`,
    },
    migration: {
      ...migration,
      phase,
      figures: { ...migration.figures, ...figures, [`phase_${migration.phase}_ms`]: lasted },
    },
    parameters: { ...operation.parameters, phaseSinceMs: draft.atMs },
  })
  const why = phase === 'aborted' && operation.error ? `: ${operation.error.message}` : ''
  draft.event(`migration.${phase}`, operation.target, `${operation.target} ${way}: ${phase}${why}`, operation.id)
  return advanced
}

function movingOperation(draft: Draft, id: string): { operation: Operation; migration: Migration } {
  const operation = runningOperation(draft, id)
  if (!operation.migration) return draft.refuse('WRONG_STATE', `operation ${id} is no move`, { operation: id })
  return { operation, migration: operation.migration }
}

// From a step of the reconciler to what carries it out: the one table of both.

import { type Assignment, DroverError } from '@drover/protocol'
import type { StepContext } from '../parts.ts'
import type { Step, StepKind } from '../reconcile.ts'
import { giveUp, note, release, runMigrationStep } from './migrate.ts'
import { create, ensureImage, freeze, start, stop, thaw, update } from './power.ts'
import { remove } from './remove.ts'
import { exportContainer, fillCopy, pruneSnapshots, runSnapshotTask } from './snapshot.ts'

export async function execute(context: StepContext, step: Step): Promise<void> {
  if (step.kind === 'delete') return remove(context, step.epoch)
  const assigned = withAssignment(context)
  switch (step.kind) {
    case 'ensure-image':
      return ensureImage(assigned)
    case 'create':
      return create(assigned)
    case 'update':
      return update(assigned)
    case 'start':
      return start(assigned)
    case 'stop':
      return stop(assigned)
    case 'freeze':
      return freeze(assigned)
    case 'thaw':
      return thaw(assigned)
    case 'release':
      return release(assigned)
    case 'prepare-source':
    case 'prepare-destination':
    case 'precopy':
    case 'switch':
      return runMigrationStep(assigned, step.kind)
    case 'snapshot':
      return runSnapshotTask(assigned)
    case 'export':
      return exportContainer(assigned)
    case 'fill':
      return fillCopy(assigned)
    case 'prune-snapshots':
      return pruneSnapshots(assigned)
    case 'note':
      return note(assigned, step.side, step.step)
    case 'give-up':
      return giveUp(assigned, step.side)
    case 'refuse-stale':
      throw new DroverError(
        'STALE_EPOCH',
        `${assigned.assignment.name}: this host has a copy of an older epoch than ${assigned.assignment.epoch}; it is left alone`,
      )
  }
}

/** Steps that load the host and wait their turn; the others are quick or part of a blackout, and never wait. */
export const heavySteps: ReadonlySet<StepKind> = new Set<StepKind>(['create', 'start', 'stop'])

function withAssignment(context: StepContext): StepContext & { assignment: Assignment } {
  const { assignment } = context
  if (!assignment) throw new DroverError('INTERNAL', `a step for ${context.container}, which nobody assigned`)
  return { ...context, assignment }
}

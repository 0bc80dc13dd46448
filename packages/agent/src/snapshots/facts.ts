// What the reconciler must know about a container's snapshots: what came of its task, and whether something lies here that shouldn't.

import type { EngineContainer } from '@drover/engine'
import type { Assignment, MigrationPhase } from '@drover/protocol'
import type { AgentParts } from '../parts.ts'
import type { Facts } from '../reconcile.ts'
import { snapshotNames } from './layout.ts'

const undecidedPhases: readonly MigrationPhase[] = ['planned', 'preparing', 'precopying', 'switching']

export function snapshotFacts(
  { snapshots }: Pick<AgentParts, 'snapshots'>,
  assignment: Assignment | null,
  engine: EngineContainer | null,
): Pick<Facts, 'taskEnded' | 'diskHere' | 'held' | 'unlistedSnapshots'> {
  const { snapshotTask, exportTask, origin, snapshots: listed } = assignment ?? {}
  const task = snapshotTask ?? exportTask
  // Nothing is removed while it may still belong to either side, so nobody has to look.
  const undecided = undecidedPhases.includes(assignment?.migration?.phase ?? 'done')
  return {
    taskEnded: task !== undefined && snapshots.ended(task.operation),
    diskHere:
      origin === undefined ? null : snapshots.ended(origin.operation) ? snapshots.succeeded(origin.operation) : null,
    held: engine !== null && snapshots.held(engine.container),
    unlistedSnapshots:
      engine !== null &&
      listed !== undefined &&
      !undecided &&
      snapshotNames(engine.upper).some((name) => !listed.includes(name)),
  }
}

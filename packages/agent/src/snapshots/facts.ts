// What the reconciler must know about a container's snapshots: what came of its task, and whether something lies here that shouldn't.

import type { EngineContainer } from '@drover/engine'
import type { Assignment } from '@drover/protocol'
import type { AgentParts } from '../parts.ts'
import type { Facts } from '../reconcile.ts'
import { snapshotNames } from './layout.ts'

export function snapshotFacts(
  { snapshots }: Pick<AgentParts, 'snapshots'>,
  assignment: Assignment | null,
  engine: EngineContainer | null,
): Pick<Facts, 'taskEnded' | 'diskHere' | 'held' | 'unlistedSnapshots'> {
  const { snapshotTask, exportTask, origin, snapshots: listed } = assignment ?? {}
  const task = snapshotTask ?? exportTask
  return {
    taskEnded: task !== undefined && snapshots.ended(task.operation),
    diskHere:
      origin === undefined ? null : snapshots.ended(origin.operation) ? snapshots.succeeded(origin.operation) : null,
    held: engine !== null && snapshots.held(engine.container),
    unlistedSnapshots:
      engine !== null && listed !== undefined && snapshotNames(engine.upper).some((name) => !listed.includes(name)),
  }
}

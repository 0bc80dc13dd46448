// All planners together: (committed state, what is observed, now) → entries to propose. Each looks at the world as it is
// and says what should be committed next; proposing the same thing twice is harmless, since apply checks it again.

import type { Operation } from '@drover/protocol'
import type { Entry } from './entries.ts'
import { type MoveQueue, moveQueue } from './move-queue.ts'
import type { Observed } from './observed.ts'
import { planEvacuation } from './planner-evacuate.ts'
import { type Leases, planHealing, planLosses } from './planner-heal.ts'
import { planImageBuild } from './planner-image.ts'
import { planMove, type SwitchSlots, takenSlots } from './planner-move.ts'
import { planContainers, planHost, planSilences } from './planner-observe.ts'
import { planPower } from './planner-power.ts'
import { planProfiles } from './planner-profiles.ts'
import { planRebalanceOperation } from './planner-rebalance.ts'
import { planBringBack } from './planner-restore.ts'
import { planResumptions } from './planner-resume.ts'
import { planRoom } from './planner-room.ts'
import { planSet } from './planner-set.ts'
import { planCopy, planExpiry, planSchedule, planSnapshot } from './planner-snapshot.ts'
import { makingRoom } from './promised-room.ts'
import { policyOf } from './scheduling-policy.ts'
import { type ClusterState, runningOperations } from './state.ts'

export interface PlanContext {
  state: ClusterState
  observed: Observed
  nowMs: number
  /** For ids and ties; the caller draws it. */
  seed: number
  /** Missing: nobody knows, so no host is ever lost by itself. */
  leases?: Leases
}

/** What one host's report makes worth committing, first what somebody waits for, which can be proposed before the rest is looked at. */
export function* planForHost(context: PlanContext, host: string): Generator<Entry> {
  const received = context.observed.reports.get(host)
  if (!received) return
  yield* planOperations(context, (each) => concerns(each, host))
  yield* planHost(context, received)
  yield* planContainers(context, received, received.changed)
}

/** Those of many moves are read off what is committed, which a report doesn't change; a move needs its own two hosts. */
function concerns({ kind, migration }: Operation, host: string): boolean {
  if (migration && migration.phase !== 'planned') return migration.source === host || migration.destination === host
  return kind !== 'evacuate' && kind !== 'restore' && kind !== 'rebalance'
}

/** What the operations under way need next, or some of them. */
export function planOperations(context: PlanContext, wanted: (operation: Operation) => boolean = () => true): Entry[] {
  const operations = runningOperations(context.state)
  if (operations.length === 0) return []
  const slots = takenSlots(context.observed, operations)
  const queue = moveQueue(operations, policyOf(context.state).moves)
  return operations.flatMap((operation) => (wanted(operation) ? planOperation(context, operation, slots, queue) : []))
}

/** What only time changes, and what was refused before. */
export function planTick(context: PlanContext): Entry[] {
  const reported = [...context.observed.reports.values()].flatMap((received) => [
    ...planHost(context, received),
    ...planContainers(context, received),
  ])
  return [
    ...planSilences(context),
    ...planLosses(context),
    ...planHealing(context),
    ...planOperations(context),
    ...planResumptions(context),
    ...reported,
    ...planExpiry(context),
    ...planSchedule(context),
    ...planProfiles(context),
  ]
}

function planOperation(context: PlanContext, operation: Operation, slots: SwitchSlots, queue: MoveQueue): Entry[] {
  switch (operation.kind) {
    case 'move':
      return planMove(context, operation, slots, queue)
    case 'evacuate':
      return planEvacuation(context, operation)
    case 'image-build':
    case 'image-import':
    case 'publish':
      return planImageBuild(context, operation)
    case 'set':
      return planSet(context, operation)
    case 'snapshot':
    case 'snapshot-restore':
    case 'export':
      return planSnapshot(context, operation)
    case 'copy':
    case 'import':
      return planCopy(context, operation)
    case 'launch':
      return operation.phase === makingRoom ? planRoom(context, operation) : planPower(context, operation)
    case 'start':
    case 'stop':
    case 'restart':
    case 'freeze':
    case 'thaw':
    case 'delete':
    case 'heal':
    case 'rebuild':
    case 'preempt':
      return planPower(context, operation)
    case 'restore':
      return planBringBack(context, operation)
    case 'rebalance':
      return planRebalanceOperation(context, operation)
    case 'cordon':
    case 'uncordon':
    case 'rename':
    case 'host-set':
    case 'image-set':
    case 'profile-set':
    case 'volume-set':
    case 'host-lost':
    case 'host-token':
    case 'host-remove':
    case 'machines':
    case 'policy':
    case 'snapshot-delete':
      // Done in the entry that begins them.
      return []
  }
}

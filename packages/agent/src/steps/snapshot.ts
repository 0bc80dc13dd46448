// The steps about snapshots as the reconciler calls them. A failure is no error of the step: it is the result, which is reported, and the
// controller ends the operation.

import type { Assignment } from '@drover/protocol'
import type { StepContext } from '../parts.ts'
import { fetchDisk } from '../snapshots/copy-over.ts'
import { exportDisk } from '../snapshots/export-disk.ts'
import { removeSnapshot, snapshotNames } from '../snapshots/layout.ts'
import { putBack } from '../snapshots/put-back.ts'
import { takeSnapshot } from '../snapshots/take.ts'

type Assigned = StepContext & { assignment: Assignment }

export async function runSnapshotTask({ parts, container, assignment }: Assigned): Promise<void> {
  const task = assignment.snapshotTask
  if (!task) return
  const work = task.kind === 'create' ? takeSnapshot : putBack
  const { error } = await parts.snapshots.run(task.operation, container, (scope) =>
    work(parts, assignment, task, scope),
  )
  if (error) parts.log.warn({ container, operation: task.operation, error: error.message }, `snapshot ${task.kind}`)
}

export async function exportContainer({ parts, container, assignment }: Assigned): Promise<void> {
  const task = assignment.exportTask
  if (!task) return
  const { error } = await parts.snapshots.run(task.operation, container, (scope) =>
    exportDisk(parts, assignment, task, scope),
  )
  if (error) parts.log.warn({ container, operation: task.operation, error: error.message }, 'export')
}

export async function fillCopy({ parts, container, assignment }: Assigned): Promise<void> {
  const { origin } = assignment
  if (!origin) return
  const { error } = await parts.snapshots.run(origin.operation, container, (scope) =>
    fetchDisk(parts, assignment, origin, scope),
  )
  if (error) parts.log.warn({ container, operation: origin.operation, error: error.message }, 'copy')
}

/** Those that the controller doesn't list: deleted, expired, or of an operation that was given up. */
export async function pruneSnapshots({ parts, container, assignment }: Assigned): Promise<void> {
  const upper = parts.mirror.get(container)?.upper
  if (upper === undefined) return
  for (const name of snapshotNames(upper)) if (!assignment.snapshots?.includes(name)) removeSnapshot(upper, name)
}

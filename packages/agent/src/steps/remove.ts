// Removes every trace of a container from this host: of one that was deleted, moved away, or never came to run here. Of one that
// moved away the writable layer may stay as a leftover, so that it need not be sent when the container comes back.

import { type Assignment, DroverError } from '@drover/protocol'
import { engineDeadlines } from '../engine-port.ts'
import type { StepContext } from '../parts.ts'

export async function remove({ parts, container, assignment }: StepContext, epoch: number): Promise<void> {
  const sessions = parts.sessions.ofContainer(container)
  // First what writes into its directories: streams and tar processes.
  await Promise.all(sessions.map((session) => session.close({ containerGoes: true })))
  if (sessions.some(({ side }) => side === 'source')) await parts.faults.at('source.cleaning')
  const left = leftFor(assignment)
  const bytes = sessions.find(({ operation }) => operation === left)?.figures.disk_bytes ?? 0
  const keep = left === null ? null : parts.leftovers.expect(container, bytes)
  const deadlines = { deadlineMs: engineDeadlines.delete }
  await parts.engine
    .call('delete', { container, epoch, ...(keep === null ? {} : { keep }) }, deadlines)
    .catch((thrown) => {
      // An engine of an earlier version knows no `keep`.
      if (keep === null || DroverError.from(thrown).code !== 'BAD_REQUEST') throw thrown
      return parts.engine.call('delete', { container, epoch }, deadlines)
    })
    .finally(() => parts.leftovers.settle(container))
  parts.mirror.forget(container)
}

/** The operation by which it has gone to another host; null: it hasn't. */
function leftFor(assignment: Assignment | null): string | null {
  if (assignment?.role !== 'source' || !assignment.migration) return null
  const { phase, operation } = assignment.migration
  return phase === 'committed' || phase === 'cleaning' || phase === 'done' ? operation : null
}

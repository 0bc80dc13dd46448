// Removes every trace of a container from this host: of one that was deleted, moved away, or never came to run here.

import { engineDeadlines } from '../engine-port.ts'
import type { StepContext } from '../parts.ts'

export async function remove({ parts, container }: StepContext, epoch: number): Promise<void> {
  const sessions = parts.sessions.ofContainer(container)
  // First what writes into its directories: streams and tar processes.
  await Promise.all(sessions.map((session) => session.close()))
  if (sessions.some(({ side }) => side === 'source')) await parts.faults.at('source.cleaning')
  await parts.engine.call('delete', { container, epoch }, { deadlineMs: engineDeadlines.delete })
  parts.mirror.forget(container)
}

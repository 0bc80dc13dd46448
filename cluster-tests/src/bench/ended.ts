// Waiting for operations of the cluster that a benchmark has asked for.

import type { DroverClient } from '@drover/client'
import { DroverError, type Operation } from '@drover/protocol'

/** The operation once it is done. Throws INTERNAL if it ended otherwise, TIMED_OUT after the deadline. */
export async function ended(
  client: DroverClient,
  asked: Promise<{ id: string }>,
  deadlineMs: number,
): Promise<Operation> {
  const operation = await client.waitOperation((await asked).id, { deadlineMs })
  if (operation.state === 'done') return operation
  const { kind, target, state, error } = operation
  throw new DroverError('INTERNAL', `${kind} of ${target} ended ${state}: ${error?.message}`)
}

// Proposes an entry and gives back what apply made of it, or throws why it was refused.

import { DroverError } from '@drover/protocol'
import type { ReplicatedLog } from '@drover/raft'
import type { Outcome } from '../core/apply.ts'
import type { Entry } from '../core/entries.ts'
import { encodeEntry } from '../core/entry-codec.ts'

/** How long a user's write may wait for its commit. */
export const submitDeadlineMs = 5_000

export async function submit<Result>(log: ReplicatedLog, entry: Entry): Promise<Result> {
  const { result } = await log.propose(encodeEntry(entry), submitDeadlineMs)
  const outcome = result as Outcome
  if (outcome.ok) return outcome.value as Result
  throw DroverError.fromJSON(outcome.error)
}

// Removes what dead laboratories left: those whose owner no longer lives. A guardian does this at once when an owner dies; the
// sweep is for the case that the guardian died too (a crash or reboot of the machine).

import { isAlive } from '@drover/cli/daemons'
import { allStates } from './state-file.ts'
import { teardown } from './teardown.ts'

/** Returns the ids of the laboratories removed. */
export async function sweep(): Promise<string[]> {
  const dead = allStates().filter((state) => !isAlive(state.owner))
  for (const state of dead) await teardown(state)
  return dead.map((state) => state.id)
}

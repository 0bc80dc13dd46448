// Several launches in one call: planned together on what there is now, the hardest first, and then committed one by one, each to where
// the plan has it as long as that still fits. What the plan has no room for is tried by itself, last: it may have others move.

import { DroverError, type LaunchOutcome, type LaunchRequest } from '@drover/protocol'
import { type Demand, planBatch } from '@drover/scheduler'
import { clusterSnapshot } from '../core/cluster-snapshot.ts'
import type { ControllerContext } from './context.ts'
import { demandOfLaunch } from './launch-demand.ts'
import { launch } from './placing.ts'

/** Entries in the log at once. */
const atOnce = 16

/** Outcomes in the order of the launches. One that is refused doesn't stop the others. */
export async function launchAll(
  context: ControllerContext,
  id: string,
  launches: readonly LaunchRequest[],
): Promise<LaunchOutcome[]> {
  const hosts = plannedHosts(context, launches)
  const outcomes: LaunchOutcome[] = launches.map(({ name }) => ({ name, operation: null, error: null }))
  const one = async (index: number) => {
    try {
      outcomes[index]!.operation = await launch(context, `${id}-${index}`, launches[index]!, hosts[index] ?? null)
    } catch (thrown) {
      outcomes[index]!.error = DroverError.from(thrown).toJSON().error
    }
  }
  const planned = [...launches.keys()].filter((index) => hosts[index] !== null)
  for (let at = 0; at < planned.length; at += atOnce) await Promise.all(planned.slice(at, at + atOnce).map(one))
  for (const index of launches.keys()) if (hosts[index] === null) await one(index)
  return outcomes
}

function plannedHosts(context: ControllerContext, launches: readonly LaunchRequest[]): (string | null)[] {
  const { machine, reports, now, seed, pending } = context
  const { state } = machine
  const demands = launches.map((asked): Demand | null => {
    try {
      return demandOfLaunch(state, asked)
    } catch {
      // Its own launch says what is wrong with it.
      return null
    }
  })
  const known = [...demands.keys()].filter((index) => demands[index] !== null)
  const snapshot = clusterSnapshot(state, reports, now(), { pending: pending.values() })
  const plan = planBatch(
    snapshot,
    known.map((index) => demands[index]!),
    seed(),
  )
  const hosts = new Array<string | null>(launches.length).fill(null)
  for (const [at, index] of known.entries()) hosts[index] = plan.hosts[at]!
  return hosts
}

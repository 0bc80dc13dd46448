// Plans many demands together before the first is carried out, as an evacuation needs: largest first, each against the
// snapshot as the ones before have left it. Largest first is first-fit-decreasing's argument: what is hard to place goes
// while there is room (Johnson 1973: at most 11/9 of the optimum plus a constant, in one dimension).

import type { Resources } from '@drover/protocol'
import { place } from './place.ts'
import { sum, withPlaced } from './placed.ts'
import { dominantShareOf } from './resource-vector.ts'
import type { ClusterSnapshot, Demand, PlaceResult } from './snapshot.ts'

/** Results in the order of `demands`. One that fits nowhere takes nothing and doesn't stop the others. */
export function placeAll(snapshot: ClusterSnapshot, demands: readonly Demand[], seed: number): PlaceResult[] {
  const total = totalCapacity(snapshot)
  const order = demands
    .map((demand, index) => ({ demand, index, size: dominantShareOf(demand.requests, total) }))
    .sort((left, right) => right.size - left.size || compareNames(left.demand, right.demand))
  const results = new Array<PlaceResult>(demands.length)
  let running = snapshot
  for (const { demand, index } of order) {
    const result = place(running, demand, seed)
    results[index] = result
    if (result.host !== null) running = withPlaced(running, result.host, demand)
  }
  return results
}

const nothing: Resources = { cpuMilli: 0, memoryBytes: 0, diskBytes: 0, pids: 0 }

function totalCapacity(snapshot: ClusterSnapshot): Resources {
  return snapshot.hosts.reduce((total, host) => sum(total, host.capacity), nothing)
}

function compareNames(left: Demand, right: Demand): number {
  return left.name < right.name ? -1 : left.name > right.name ? 1 : 0
}

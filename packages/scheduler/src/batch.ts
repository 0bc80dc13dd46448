// Many placements in one call. They are planned together: the largest first, as what is hard to place must go while there is
// room; and, with lookahead, with an eye on the sizes of those that still come (their own mix of sizes, fill.ts), which is
// worth it when it places more of them, or the same on fewer hosts. A batch is planned in one go and changes nothing until
// then, so nothing has to be moved that has just been placed.

import { fillTables, mixOf } from './fill.ts'
import { Model } from './model.ts'
import { type ClusterSnapshot, type Demand, defaultPool } from './snapshot.ts'

export interface BatchPlan {
  /** In the order of the demands; null: refused. */
  hosts: (string | null)[]
  refused: number
  /** Hosts that had no container and get one. */
  opened: number
}

/** Places them all in `model`, largest first. */
export function placeBatch(model: Model, demands: readonly Demand[]): BatchPlan {
  const hosts = new Array<string | null>(demands.length).fill(null)
  const sizes = demands.map((demand) => model.sizeOf(demand))
  const order = [...demands.keys()].sort((left, right) => sizes[right]! - sizes[left]! || left - right)
  const plan: BatchPlan = { hosts, refused: 0, opened: 0 }
  for (const index of order) {
    const host = model.place(demands[index]!)
    hosts[index] = host
    if (host === null) plan.refused += 1
    else if (model.containersOn(host) === 1) plan.opened += 1
  }
  return plan
}

/** The better of two plans: by the pools' policies as they are, and with the batch's own mix for pools that pack. */
export function planBatch(snapshot: ClusterSnapshot, demands: readonly Demand[], seed: number): BatchPlan {
  const plain = placeBatch(new Model(snapshot, seed), demands)
  const pools = { ...snapshot.pools }
  const names = new Set(demands.map(({ constraints }) => constraints?.pool ?? defaultPool))
  let changed = false
  for (const name of names) {
    const pool = pools[name] ?? {}
    if ((pool.policy ?? 'pack') !== 'pack' || pool.fill) continue
    const own = demands.filter(({ constraints }) => (constraints?.pool ?? defaultPool) === name)
    pools[name] = { ...pool, fill: fillTables(mixOf(own)) }
    changed = true
  }
  if (!changed) return plain
  const ahead = placeBatch(new Model({ ...snapshot, pools }, seed), demands)
  const better = ahead.refused - plain.refused || ahead.opened - plain.opened
  return better < 0 ? ahead : plain
}

// A host that runs out of memory is relieved at once: quiet hours, cooldowns and prices don't count against what the kernel
// would kill. Containers that were frozen on their way into an out-of-memory kill go first: moving them interrupts nothing.

import { type ContainerSnapshot, compareNames, useOf } from './container-snapshot.ts'
import type { Layout } from './layout.ts'
import type { LoadMap } from './load-map.ts'
import type { RebalancePolicy } from './rebalance-policy.ts'

export interface HostPressure {
  host: string
  /** As the host itself measures it; page cache that can be dropped doesn't count. */
  memoryUsedBytes: number
  /** Containers that were frozen instead of killed. */
  frozen: readonly string[]
}

export interface UrgentMove {
  container: ContainerSnapshot
  from: number
  to: number
  reason: 'MEMORY_PRESSURE' | 'OOM_FROZEN'
  detail: string
}

/** The moves that relieve `pressures`, and those containers that should go and can't. Moves them in `layout` and `loads`. */
export function urgentMoves(
  layout: Layout,
  loads: LoadMap,
  pressures: readonly HostPressure[],
  policy: RebalancePolicy,
): { moves: UrgentMove[]; stuck: { container: string; detail: string }[] } {
  const moves: UrgentMove[] = []
  const stuck: { container: string; detail: string }[] = []
  const pressed = new Set(pressures.map(({ host }) => host))
  for (const pressure of [...pressures].sort((left, right) => compareNames(left.host, right.host))) {
    const from = layout.indexOf(pressure.host)
    if (from < 0) continue
    const capacity = layout.hosts[from]!.capacity.memoryBytes
    let excess =
      pressure.memoryUsedBytes > policy.pressureAbove * capacity
        ? pressure.memoryUsedBytes - policy.pressureStopAt * capacity
        : 0
    const frozen = new Set(pressure.frozen)
    for (;;) {
      const container = nextToGo(layout, from, frozen, excess, stuck)
      if (container === null) break
      const name = container.demand.name
      const to = roomiest(layout, loads, container, pressed, policy)
      if (to < 0) {
        stuck.push({ container: name, detail: `no other host has memory to spare for ${name}` })
        continue
      }
      const reason = frozen.has(name) ? 'OOM_FROZEN' : 'MEMORY_PRESSURE'
      const used = Math.round((100 * pressure.memoryUsedBytes) / capacity)
      const detail =
        reason === 'OOM_FROZEN'
          ? `${name} was frozen on ${pressure.host} when memory ran out`
          : `memory of ${pressure.host} is used to ${used} %`
      moves.push({ container, from, to, reason, detail })
      const use = useOf(container)
      excess -= use.memoryBytes
      layout.move(container, to)
      loads.move(use, from, to)
    }
  }
  return { moves, stuck }
}

/** Frozen ones first; then the smallest that relieves the host alone, or else the largest. Null: enough, or nothing left. */
function nextToGo(
  layout: Layout,
  host: number,
  frozen: ReadonlySet<string>,
  excess: number,
  stuck: readonly { container: string }[],
): ContainerSnapshot | null {
  const candidates = [...layout.on(host)]
    .filter(({ demand, movable }) => movable && !stuck.some(({ container }) => container === demand.name))
    .sort(
      (left, right) =>
        useOf(left).memoryBytes - useOf(right).memoryBytes || compareNames(left.demand.name, right.demand.name),
    )
  const cold = candidates.find(({ demand }) => frozen.has(demand.name))
  if (cold) return cold
  if (excess <= 0) return null
  return candidates.find((each) => useOf(each).memoryBytes >= excess) ?? candidates.at(-1) ?? null
}

function roomiest(
  layout: Layout,
  loads: LoadMap,
  container: ContainerSnapshot,
  pressed: ReadonlySet<string>,
  policy: RebalancePolicy,
): number {
  let best = -1
  let least = policy.pressureStopAt
  for (let host = 0; host < layout.hosts.length; host++) {
    if (pressed.has(layout.hosts[host]!.name) || !layout.takes(container, host)) continue
    const share = loads.memoryShareWith(host, useOf(container).memoryBytes)
    if (share < least) {
      best = host
      least = share
    }
  }
  return best
}

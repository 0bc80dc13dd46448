// Hosts that are short of memory, for the urgent moves of a rebalance: what they use by their own measure, and which containers stand
// still at their limit there. Those go first, since moving them interrupts nothing. On a host with memory to spare nobody goes
// for his own limit's sake: elsewhere it would be the same limit, and raising it is what helps (`drover set`).

import { type HostPressure, usualRebalancePolicy } from '@drover/scheduler'
import type { Observed, ReceivedReport } from './observed.ts'
import type { ClusterState } from './state.ts'

export function memoryPressures(state: ClusterState, observed: Observed): HostPressure[] {
  const pressures: HostPressure[] = []
  for (const [host, received] of observed.reports) {
    const { pressure, containers } = received.report
    if (!pressure || !state.tables.hosts.has(host)) continue
    const atLimit = isShort(state, host, received)
      ? containers.filter(({ memory }) => memory?.frozenAtLimit).map(({ container }) => container)
      : []
    const frozen = [...new Set([...pressure.frozen, ...atLimit])]
    const names = frozen.flatMap((id) => state.tables.containers.get(id)?.name ?? [])
    pressures.push({ host, memoryUsedBytes: pressure.memoryUsedBytes, frozen: names })
  }
  return pressures
}

/** A plan is wanted soon. */
export const anyIsShort = (state: ClusterState, observed: Observed): boolean =>
  [...observed.reports].some(([host, received]) => isShort(state, host, received))

function isShort(state: ClusterState, host: string, { report: { pressure } }: ReceivedReport): boolean {
  const capacity = state.tables.hosts.get(host)?.capacity.memoryBytes
  if (!pressure || capacity === undefined) return false
  return pressure.frozen.length > 0 || pressure.memoryUsedBytes > usualRebalancePolicy.pressureAbove * capacity
}

// What is replayed: workloads that arrive, use what they use, and leave. Each source (openb, Azure, PlanetLab, a seed) is
// read into this one form.

export interface Workload {
  name: string
  arriveS: number
  /** Infinity: stays. */
  leaveS: number
  cpuMilli: number
  memoryBytes: number
  /** Shares of `cpuMilli` that are used, one per `Trace.loadStepS`; null: not known. */
  loads: Float32Array | null
}

export interface Trace {
  name: string
  /** By arrival. */
  workloads: Workload[]
  /** Until the last arrival, or the end of the loads. */
  spanS: number
  /** Of `Workload.loads`. */
  loadStepS: number
  /** What a host has, unless told otherwise. */
  host: { cpuMilli: number; memoryBytes: number }
  /** How much is packed on a host beyond its cores, unless told otherwise; 1: nothing. */
  overcommit: number
}

export const GiB = 2 ** 30

/** The share of its cpu that a workload uses at a moment of the replay; without measurement all of it. */
export function loadAt({ loads }: Workload, atS: number, { loadStepS }: Trace): number {
  if (loads === null) return 1
  return loads[Math.min(loads.length - 1, Math.floor(atS / loadStepS))] ?? 1
}

/** The fewest hosts that could hold all that is there at the busiest moment; what is too large for any host isn't counted. */
export function lowerBound(trace: Trace, capacity: Trace['host']): number {
  const events = trace.workloads
    .filter(({ cpuMilli, memoryBytes }) => cpuMilli <= capacity.cpuMilli && memoryBytes <= capacity.memoryBytes)
    .flatMap(({ arriveS, leaveS, cpuMilli, memoryBytes }) => [
      { atS: arriveS, cpuMilli, memoryBytes },
      ...(Number.isFinite(leaveS) ? [{ atS: leaveS, cpuMilli: -cpuMilli, memoryBytes: -memoryBytes }] : []),
    ])
  // Who leaves at the moment when another arrives makes room for it.
  events.sort((left, right) => left.atS - right.atS || left.cpuMilli - right.cpuMilli)
  let cpu = 0
  let memory = 0
  let most = 0
  for (const { cpuMilli, memoryBytes } of events) {
    cpu += cpuMilli
    memory += memoryBytes
    most = Math.max(most, cpu / capacity.cpuMilli, memory / capacity.memoryBytes)
  }
  return Math.ceil(most - 1e-9)
}

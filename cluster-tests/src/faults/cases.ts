// Every fault that a migration is put to: at each point at which an agent can be held (packages/agent/src/fault-points.ts), each
// part that takes part in it is killed, stopped for a while or cut off.

import { type FaultPoint as Point, faultPoints as points } from '@drover/agent'

export type Side = 'source' | 'destination'
export type Victim = `${Side} ${'agent' | 'engine' | 'criu' | 'nats' | 'cable'}` | 'leader'
/** kill: SIGKILL, and started again after a while. stop: SIGSTOP, and SIGCONT after a while. cut: unplugged for a while. */
export type Harm = 'kill' | 'stop' | 'cut'

export interface FaultCase {
  point: Point
  victim: Victim
  harm: Harm
}

const harms: readonly [Victim, Harm][] = [
  ['source agent', 'kill'],
  ['source agent', 'stop'],
  ['destination agent', 'kill'],
  ['destination agent', 'stop'],
  ['source engine', 'kill'],
  ['source engine', 'stop'],
  ['destination engine', 'kill'],
  ['destination engine', 'stop'],
  ['source criu', 'kill'],
  ['destination criu', 'kill'],
  ['leader', 'kill'],
  ['leader', 'stop'],
  ['source nats', 'kill'],
  ['destination nats', 'kill'],
  ['source cable', 'cut'],
  ['destination cable', 'cut'],
]

export const faultCases: readonly FaultCase[] = points.flatMap((point) =>
  harms.map(([victim, harm]) => ({ point, victim, harm })),
)

/** The cases whose text contains every word of the filter. */
export function casesMatching(filter: string): FaultCase[] {
  const words = filter.split(/\s+/).filter((word) => word !== '')
  return faultCases.filter((fault) => words.every((word) => describeCase(fault).includes(word)))
}

export const describeCase = ({ point, victim, harm }: FaultCase): string => `${point}: ${harm} ${victim}`

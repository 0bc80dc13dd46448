// Every fault that a migration is put to: at each point at which it can be held (points.ts), each part that takes part in it is killed,
// stopped for a while or cut off, or the move is cancelled. The steps of an engine are for what happens to that engine and its CRIU.

import { agentPoints, enginePoints, onTheWayBack, type Point, type Side, sideOf } from './points.ts'

export type Victim = `${Side} ${'agent' | 'engine' | 'criu' | 'nats' | 'cable'}` | 'leader' | 'move'
/** kill: SIGKILL, and started again after a while. stop: SIGSTOP, and SIGCONT after a while. cut: unplugged for a while. */
export type Harm = 'kill' | 'stop' | 'cut' | 'cancel'

export interface FaultCase {
  point: Point
  victim: Victim
  harm: Harm
}

const harms: readonly [Victim, Harm][] = [
  ['move', 'cancel'],
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
  ['source nats', 'stop'],
  ['destination nats', 'kill'],
  ['destination nats', 'stop'],
  ['source cable', 'cut'],
  ['destination cable', 'cut'],
]

/** At a step of an engine: what happens to it, to the agent that waits for its answer, and to the wish that it is done at all. */
const harmsInEngine = (point: Point): readonly [Victim, Harm][] => {
  const side = sideOf(point)
  return [
    [`${side} engine`, 'kill'],
    [`${side} criu`, 'kill'],
    [`${side} agent`, 'kill'],
    // It has been cancelled to come there.
    ...(onTheWayBack(point) ? [] : [['move', 'cancel'] as [Victim, Harm]]),
  ]
}

export const faultCases: readonly FaultCase[] = [
  ...agentPoints.flatMap((point) => harms.map(([victim, harm]) => ({ point, victim, harm }))),
  ...enginePoints.flatMap((point) => harmsInEngine(point).map(([victim, harm]) => ({ point, victim, harm }))),
]

/** The cases whose text contains every word of the filter. */
export function casesMatching(filter: string): FaultCase[] {
  const words = filter.split(/\s+/).filter((word) => word !== '')
  return faultCases.filter((fault) => words.every((word) => describeCase(fault).includes(word)))
}

export const describeCase = ({ point, victim, harm }: FaultCase): string => `${point}: ${harm} ${victim}`

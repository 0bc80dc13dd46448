// Where a fault test can hold a migration: the points of the agents (packages/agent/src/fault-points.ts) and the steps of the engines
// (native/engine/src/crash_point.h), with the side of the move on which each comes.

import { type FaultPoint as AgentPoint, faultPoints as agentPoints } from '@drover/agent'

/** The steps of an engine in a live move, in their order. */
export const enginePoints = [
  'prepare:ready',
  'copy:tracked',
  'copy:part',
  'checkpoint:begun',
  'checkpoint:frozen',
  'checkpoint:detached',
  'checkpoint:seized',
  'checkpoint:dumped',
  'checkpoint:left',
  'checkpoint:recorded',
  'restore:begun',
  'restore:mounted',
  'restore:namespaces',
  'restore:network',
  'restore:stopped',
  'restore:frozen',
  'restore:left',
  'restore:recorded',
  'release:attached',
  'release:thawed',
  'thaw:attached',
  'thaw:thawed',
] as const
export type EnginePoint = (typeof enginePoints)[number]

export type Point = AgentPoint | EnginePoint
export type Side = 'source' | 'destination'

export const isEnginePoint = (point: Point): point is EnginePoint => point.includes(':')

const sourceSteps = ['copy', 'checkpoint', 'thaw']

export function sideOf(point: Point): Side {
  if (!isEnginePoint(point)) return point.split('.')[0] as Side
  return sourceSteps.includes(point.split(':')[0] as string) ? 'source' : 'destination'
}

/** Only a move that is given up comes there. */
export const onTheWayBack = (point: Point): boolean => point.startsWith('thaw:')

/** Once committed there is nothing to cancel. */
const afterTheSwitch: readonly Point[] = [
  'destination.releasing',
  'release:attached',
  'release:thawed',
  'source.cleaning',
]
export const isCommitted = (point: Point): boolean => afterTheSwitch.includes(point)

export { agentPoints }

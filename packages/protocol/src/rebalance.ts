// What rebalancing plans, did and is about to do, as the API shows it and the log keeps it.

import { type Static, Type } from '@drover/schema'
import { RebalanceSettings } from './scheduling.ts'

const RebalanceMoveView = Type.Object({
  container: Type.String(),
  from: Type.String(),
  to: Type.String(),
  reason: Type.String({ description: 'MEMORY_PRESSURE, OOM_FROZEN, GROUP_DRIFT, HOT_HOST or IMBALANCE' }),
  detail: Type.String({ description: 'one sentence with the figures' }),
  urgent: Type.Boolean(),
  gain: Type.Number({ description: 'the gap between two hosts that it closes, in shares of a host' }),
  blackoutMs: Type.Number({ description: 'estimated' }),
  bytes: Type.Number({ description: 'estimated' }),
  dirtyBytesPerS: Type.Optional(Type.Number({ description: 'what it writes, to memory and disk, as last measured' })),
})
export type RebalanceMoveView = Static<typeof RebalanceMoveView>

export const RebalancePlanView = Type.Object({
  moves: Type.Array(RebalanceMoveView),
  held: Type.Array(Type.Object({ move: RebalanceMoveView, why: Type.String() }), {
    description: 'worthwhile, but not now',
  }),
  stuck: Type.Array(Type.Object({ container: Type.String(), detail: Type.String() })),
  imbalanceBefore: Type.Number(),
  imbalanceAfter: Type.Number({ description: 'as forecast, with the moves made' }),
  verdict: Type.String({ description: 'BALANCED, PLANNED, HELD or NOTHING_WORTHWHILE' }),
})
export type RebalancePlanView = Static<typeof RebalancePlanView>

/** A plan that was kept: carried out by `operation`, or a dry run. */
export const RebalanceRecord = Type.Object({
  index: Type.Integer({ description: 'log index' }),
  atMs: Type.Integer(),
  trigger: Type.Union([Type.Literal('auto'), Type.Literal('manual')]),
  operation: Type.Union([Type.String(), Type.Null()]),
  active: Type.Boolean({ description: 'balancing has begun and not come to its end' }),
  plan: RebalancePlanView,
})
export type RebalanceRecord = Static<typeof RebalanceRecord>

export const RebalanceStatus = Type.Object({
  settings: RebalanceSettings,
  active: Type.Boolean(),
  imbalance: Type.Number(),
  movesLastHour: Type.Integer(),
  movesPerHour: Type.Integer(),
  operation: Type.Union([Type.String(), Type.Null()], { description: 'that is carried out now' }),
  last: Type.Union([RebalanceRecord, Type.Null()]),
})
export type RebalanceStatus = Static<typeof RebalanceStatus>

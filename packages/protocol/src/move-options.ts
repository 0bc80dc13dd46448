// What a user may say about how a container is moved, and what both sides are told of it.

import { type Static, Type } from '@drover/schema'
import { moveStrategies } from './move-words.ts'

export * from './move-words.ts'

const words = <T extends string>(...values: T[]) =>
  Type.Unsafe<T>(Type.Union(values.map((value) => Type.Literal(value))))

/** A pace below this would keep a move under way for days. */
const leastBytesPerS = 64 << 10

const choices = {
  strategy: Type.Optional(words(...moveStrategies)),
  maxBlackoutMs: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 3_600_000, description: 'longer than this it must not stand still' }),
  ),
  bandwidthBytesPerS: Type.Optional(
    Type.Integer({ minimum: leastBytesPerS, description: 'of what goes ahead while it runs' }),
  ),
}
export const MoveOptions = Type.Object(choices)
export type MoveOptions = Static<typeof MoveOptions>
export const moveOptionProperties = choices

/** The options, and what the proposer knows. All of it is optional: older entries and assignments say nothing. */
export const MoveTerms = Type.Object({
  ...choices,
  /** Of each host's link, for all moves over it together. */
  hostBytesPerS: Type.Optional(Type.Integer({ minimum: leastBytesPerS })),
  /** What the blackout would take with no memory to send, by this container's or the cluster's earlier moves. */
  fixedBlackoutMs: Type.Optional(Type.Number()),
})
export type MoveTerms = Static<typeof MoveTerms>

/** The cluster's limits of moves; what is missing has the default below. */
export const MoveLimits = Type.Object(
  {
    perHost: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 256, description: 'moves under way from and to a host' }),
    ),
    perLink: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 256, description: 'moves under way between two hosts' }),
    ),
    bandwidthBytesPerS: Type.Optional(
      Type.Integer({ minimum: leastBytesPerS, description: 'each way, of all moves of a host together' }),
    ),
  },
  { additionalProperties: false },
)
export type MoveLimits = Static<typeof MoveLimits>

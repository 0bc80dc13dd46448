// What a host says of a container's memory, and what the cluster keeps of it.

import { type Static, Type } from '@drover/schema'
import { Nullable } from './nullable.ts'

/** Seen of its memory since its last start. */
export const MemoryPressure = Type.Object({
  nearLimit: Type.Boolean({ description: '90 % of the limit in use; left again below 80 %' }),
  frozenAtLimit: Type.Boolean({ description: 'frozen by its memory policy: raising the limit lets it go on' }),
  oomKills: Type.Integer({ description: 'processes that the kernel killed at the limit' }),
  killed: Nullable(Type.String({ description: 'name of the last one, if known' })),
})
export type MemoryPressure = Static<typeof MemoryPressure>

/** Processes of it that the kernel killed at its limit of memory since it was made, over reboots, starts and moves. */
export const OomKills = Type.Object({
  total: Type.Integer({ minimum: 1 }),
  lastAtMs: Type.Integer({ description: 'when its host told of the last one' }),
  last: Nullable(Type.String({ description: 'name of the last one, if known' })),
})
export type OomKills = Static<typeof OomKills>

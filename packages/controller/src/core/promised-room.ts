// What a launch has been promised while others still move to make room for it.

import type { Operation } from '@drover/protocol'
import type { EntryOf } from './entries.ts'

/** Phase of such a launch. */
export const makingRoom = 'making-room'

export type RoomyLaunch = EntryOf<'RoomPlanned'>['launch']

/** What a running launch has been promised; null: nothing, or it is there already. */
export function promisedRoom({ kind, phase, state, parameters }: Operation): RoomyLaunch | null {
  if (kind !== 'launch' || phase !== makingRoom || state !== 'running') return null
  return parameters.launch as RoomyLaunch
}

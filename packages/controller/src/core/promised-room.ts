// What a launch has been promised while others still move to make room for it.

import type { Operation } from '@drover/protocol'
import type { EntryOf, PlannedMove } from './entries.ts'
import type { ClusterState } from './state.ts'

/** Phase of such a launch. */
export const makingRoom = 'making-room'

export type RoomyLaunch = EntryOf<'RoomPlanned'>['launch']

/** What a running launch has been promised; null: nothing, or it is there already. */
export function promisedRoom({ kind, phase, state, parameters }: Operation): RoomyLaunch | null {
  if (kind !== 'launch' || phase !== makingRoom || state !== 'running') return null
  return parameters.launch as RoomyLaunch
}

/** Containers that running launches wait for to be out of their way: nobody else plans with them. */
export function promisedAway(state: ClusterState): Set<string> {
  const away = new Set<string>()
  for (const id of state.running) {
    const operation = state.tables.operations.get(id)!
    if (promisedRoom(operation) === null) continue
    for (const { container } of (operation.parameters.plan ?? []) as PlannedMove[]) away.add(container)
  }
  return away
}

// Planners of moves: which containers should be elsewhere, and in what order.

export { type RoomPolicy, usualRoomPolicy } from './clear-room.ts'
export * from './consolidate.ts'
export * from './container-snapshot.ts'
export * from './evacuate.ts'
export * from './forecast.ts'
export * from './load-map.ts'
export * from './move-cost.ts'
export * from './provision.ts'
export * from './rebalance.ts'
export * from './rebalance-policy.ts'
export type { MoveHistory, PastMove } from './restraint.ts'
export type { HostPressure } from './urgent-moves.ts'

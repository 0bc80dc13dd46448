// Which moves may begin now, and in which place the others wait. Pure: (moves under way or waiting, limits) → who goes. At most so many at
// once from and to a host, and between two hosts. Fair among links: the link with the fewest under way goes first, then the oldest move, so that a
// hundred moves from a to b don't keep one from c to d, or even from a to c, waiting until the last of them. What the first in line waits for
// is kept for it, so nobody starves.

import {
  defaultMovesPerHost,
  defaultMovesPerLink,
  type Migration,
  type MoveLimits,
  type Operation,
} from '@drover/protocol'
import type { ClusterState } from './state.ts'

/** Waiting moves beyond this are refused: whoever begins so many should empty hosts, which begins them little by little. */
export const maxWaitingMoves = 1000

export interface MoveQueue {
  admitted: ReadonlySet<string>
  /** By operation: 1 is next. */
  positions: ReadonlyMap<string, number>
}

const emptyQueue: MoveQueue = { admitted: new Set(), positions: new Map() }

interface Waiting {
  operation: Operation
  migration: Migration
  /** How many of its link go before it, under way ones included. */
  rank: number
}

export function moveQueue(operations: readonly Operation[], limits: MoveLimits = {}): MoveQueue {
  const taken = new Map<string, number>()
  const waiting: Waiting[] = []
  if (!operations.some(({ migration }) => migration?.phase === 'planned')) return emptyQueue
  const moves = operations.filter(({ state, migration }) => state === 'running' && migration !== null).sort(byAge)
  for (const operation of moves) {
    const migration = operation.migration as Migration
    if (migration.phase === 'planned') waiting.push({ operation, migration, rank: 0 })
    else if (holdsPlace(migration)) for (const key of placesOf(migration)) take(taken, key)
  }
  rankByLink(waiting, taken)
  waiting.sort((left, right) => left.rank - right.rank || byAge(left.operation, right.operation))
  const admitted = new Set<string>()
  const positions = new Map<string, number>()
  for (const { operation, migration } of waiting) {
    const places = placesOf(migration)
    if (places.every((key) => (taken.get(key) ?? 0) < mostOf(key, limits))) admitted.add(operation.id)
    else positions.set(operation.id, positions.size + 1)
    // Also for one that has to wait: what it waits for is not given to those behind it.
    for (const key of places) take(taken, key)
  }
  return { admitted, positions }
}

/** Places that are free whichever hosts a move is between; none while others stand in line. */
export function placesForAny({ running, tables }: ClusterState, limits: MoveLimits = {}): number {
  const { perHost = defaultMovesPerHost, perLink = defaultMovesPerLink } = limits
  let places = Math.min(perHost, perLink)
  for (const id of running) {
    const migration = tables.operations.get(id)?.migration
    if (migration?.phase === 'planned') return 0
    if (migration) places -= 1
  }
  return Math.max(0, places)
}

export function waitingMoves({ running, tables }: ClusterState): number {
  let count = 0
  for (const id of running) if (tables.operations.get(id)?.migration?.phase === 'planned') count += 1
  return count
}

/** Decided ones as well: until the source is clean its host is at work. */
const holdsPlace = ({ phase }: Migration): boolean => phase !== 'done'

function rankByLink(waiting: readonly Waiting[], taken: ReadonlyMap<string, number>): void {
  const ahead = new Map<string, number>()
  for (const each of waiting) {
    const link = linkOf(each.migration)
    each.rank = ahead.get(link) ?? taken.get(link) ?? 0
    ahead.set(link, each.rank + 1)
  }
}

const placesOf = (migration: Migration): string[] => [
  `host ${migration.source}`,
  `host ${migration.destination}`,
  linkOf(migration),
]

/** Both ways are one link. */
const linkOf = ({ source, destination }: Migration): string => `link ${[source, destination].sort().join(' ')}`

const mostOf = (key: string, { perHost = defaultMovesPerHost, perLink = defaultMovesPerLink }: MoveLimits): number =>
  key.startsWith('link') ? perLink : perHost

const take = (taken: Map<string, number>, key: string): void => void taken.set(key, (taken.get(key) ?? 0) + 1)

const byAge = (left: Operation, right: Operation): number =>
  left.createdAtMs - right.createdAtMs || (left.id < right.id ? -1 : 1)

// Room on a host for a container that fits nowhere, by moving others out of its way, as one of many steps of a larger plan:
// it works on the plan's layout, so that what was planned before counts. Small sets first (one mover, then two …), so that
// the fewest are disturbed; among equals the least is sent over the wire. Nobody with a higher priority is moved for it.

import { type ContainerSnapshot, compareNames } from './container-snapshot.ts'
import type { Layout } from './layout.ts'

export interface RoomMove {
  container: ContainerSnapshot
  from: number
  to: number
}

export interface Room {
  host: number
  moves: RoomMove[]
}

export interface RoomPolicy {
  /** The most containers that are moved for one. */
  maxMovers: number
  /** The most hosts on which it's tried: those with the most room already. */
  maxHosts: number
  /** Of one host's containers, the most that are looked at. */
  maxCandidates: number
}

export const usualRoomPolicy: RoomPolicy = { maxMovers: 3, maxHosts: 16, maxCandidates: 12 }

/**
 * Null: no room can be made within the policy. Otherwise the room is made in `layout` (but the container isn't moved into
 * it). `allowed`: hosts that movers and the container may go to.
 */
export function clearRoom(
  layout: Layout,
  container: ContainerSnapshot,
  allowed: (host: number) => boolean,
  policy: RoomPolicy = usualRoomPolicy,
  protectedContainers: ReadonlySet<ContainerSnapshot> = new Set(),
): Room | null {
  const hosts = roomiest(layout, container, allowed).slice(0, policy.maxHosts)
  const priority = container.demand.priority ?? 0
  for (let movers = 1; movers <= policy.maxMovers; movers++) {
    let best: Room | null = null
    for (const host of hosts) {
      const candidates = [...layout.on(host)]
        .filter((each) => each.movable && !protectedContainers.has(each) && (each.demand.priority ?? 0) <= priority)
        .sort((left, right) => bytes(left) - bytes(right) || compareNames(left.demand.name, right.demand.name))
        .slice(0, policy.maxCandidates)
      const moves = clear(layout, container, host, candidates, movers, allowed)
      if (moves !== null && (best === null || total(moves) < total(best.moves))) best = { host, moves }
    }
    if (best !== null) {
      for (const { container: mover, to } of best.moves) layout.move(mover, to)
      return best
    }
  }
  return null
}

/** The cheapest set of exactly `movers` of `candidates` whose leaving lets `container` in; leaves `layout` as it was. */
function clear(
  layout: Layout,
  container: ContainerSnapshot,
  host: number,
  candidates: readonly ContainerSnapshot[],
  movers: number,
  allowed: (host: number) => boolean,
): RoomMove[] | null {
  if (movers === 0) return layout.takes(container, host) ? [] : null
  let best: RoomMove[] | null = null
  for (let index = 0; index <= candidates.length - movers; index++) {
    const mover = candidates[index]!
    if (best !== null && bytes(mover) >= total(best)) break
    const to = layout.bestFit(mover, (other) => other !== host && allowed(other))
    if (to < 0) continue
    layout.move(mover, to)
    const rest = clear(layout, container, host, candidates.slice(index + 1), movers - 1, allowed)
    layout.move(mover, host)
    if (rest === null) continue
    const moves = [{ container: mover, from: host, to }, ...rest]
    if (best === null || total(moves) < total(best)) best = moves
  }
  return best
}

/** Hosts that only lack room, emptiest first. */
function roomiest(layout: Layout, container: ContainerSnapshot, allowed: (host: number) => boolean): number[] {
  return layout.hosts
    .map((_, host) => host)
    .filter((host) => {
      if (host === layout.whereIs(container) || !allowed(host) || layout.sizeOn(container, host) > 1) return false
      const refusal = layout.refusal(container, host)
      return refusal === null || /^(INSUFFICIENT|MEASURED)_/.test(refusal.name)
    })
    .sort((left, right) => layout.fullness(left) - layout.fullness(right) || left - right)
}

const bytes = ({ residentBytes, diskBytes }: ContainerSnapshot): number => residentBytes + diskBytes

const total = (moves: readonly RoomMove[]): number => moves.reduce((sum, { container }) => sum + bytes(container), 0)

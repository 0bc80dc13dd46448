// Emptying hosts, planned whole before the first move: where all of them go, who can't and why, what would have to move to
// make room, in what order, and how long it takes. Several hosts are planned together, so that nobody is sent to a host that
// is next. Input and output are plain data; times come from measured moves (see move-cost.ts).

import type { ClusterSnapshot } from '../snapshot.ts'
import { clearRoom, type RoomPolicy, usualRoomPolicy } from './clear-room.ts'
import { type ContainerSnapshot, compareNames } from './container-snapshot.ts'
import { Layout } from './layout.ts'
import { type MoveCost, type MoveModel, moveCost, usualMoveModel } from './move-cost.ts'

/** How a container leaves: as it runs, frozen for the time, stopped and started again, stopped for good, or not at all. */
export type Leaving = 'live' | 'frozen' | 'cold' | 'stop' | 'stay'

export interface EvacuationPolicy {
  /** Moves at once, in all and with one host as source or destination. */
  parallel: number
  parallelPerHost: number
  /** Others may be moved to make room. When not, the plan only says who would have to. */
  mayMakeRoom: boolean
  room: RoomPolicy
  /** Default of containers that aren't in `leaving`. */
  leavingDefault: Leaving
  moveModel: MoveModel
}

export const usualEvacuationPolicy: EvacuationPolicy = {
  parallel: 4,
  parallelPerHost: 2,
  mayMakeRoom: false,
  room: usualRoomPolicy,
  leavingDefault: 'live',
  moveModel: usualMoveModel,
}

export interface EvacuationInput {
  snapshot: ClusterSnapshot
  /** All containers that may be part of it: those on the hosts, and those that could make room. */
  containers: readonly ContainerSnapshot[]
  /** The hosts to empty. */
  hosts: readonly string[]
  leaving?: Readonly<Record<string, Leaving>>
  /** From now; null: none. */
  deadlineMs?: number | null
}

export interface EvacuationMove {
  container: string
  from: string
  to: string
  how: 'live' | 'frozen' | 'cold'
  /** The container that it makes room for; null: it leaves a host that is emptied. */
  makesRoomFor: string | null
  cost: MoveCost
  /** From the beginning, as estimated. */
  startMs: number
  endMs: number
}

export interface EvacuationPlan {
  /** In the order of their beginning. */
  moves: EvacuationMove[]
  /** Stopped where they are. */
  stops: string[]
  /** Wished to stay, or can't go: with the reason, and what would have to move to make room, if that is known. */
  stays: { container: string; host: string; wished: boolean; reason: string; room: string | null }[]
  /** By host: when the last has left it; null when some stay. */
  hosts: { host: string; leaves: number; stays: number; emptyMs: number | null }[]
  etaMs: number
  meetsDeadline: boolean
}

export function planEvacuation(
  input: EvacuationInput,
  policy: EvacuationPolicy = usualEvacuationPolicy,
): EvacuationPlan {
  const how = ({ demand }: ContainerSnapshot): Leaving => input.leaving?.[demand.name] ?? policy.leavingDefault
  const emptied = new Set(input.hosts)
  const containers = input.containers.map((each) => (emptied.has(each.host) ? arrivingBy(each, how(each)) : each))
  const layout = new Layout(input.snapshot, containers)
  const leaving = containers.filter(({ host }) => emptied.has(host))
  const allowed = (host: number) => !emptied.has(layout.hosts[host]!.name)
  const planned: Planned[] = []
  const stays: EvacuationPlan['stays'] = []
  const stops: string[] = []
  const homeless: ContainerSnapshot[] = []
  for (const container of hardestFirst(layout, leaving)) {
    const wish = how(container)
    const { name } = container.demand
    if (wish === 'stop') stops.push(name)
    else if (wish === 'stay' || !container.movable) {
      const reason = wish === 'stay' ? 'it is to stay' : (container.fixed ?? 'it can’t be moved')
      stays.push({ container: name, host: container.host, wished: wish === 'stay', reason, room: null })
    } else {
      const to = layout.bestFit(container, allowed)
      if (to < 0) homeless.push(container)
      else send(layout, planned, container, to, wish)
    }
  }
  const settled = new Set(planned.map(({ container }) => container))
  for (const container of homeless) {
    const outcome = withRoom(layout, container, settled, allowed, policy, how(container) as 'live', planned)
    if (outcome !== null)
      stays.push({ container: container.demand.name, host: container.host, wished: false, ...outcome })
  }
  const moves = scheduled(layout, planned, policy)
  const etaMs = Math.max(0, ...moves.map(({ endMs }) => endMs))
  return {
    moves,
    stops,
    stays,
    hosts: input.hosts.map((host) => summary(host, moves, stays)),
    etaMs,
    meetsDeadline: input.deadlineMs == null || etaMs <= input.deadlineMs,
  }
}

interface Planned {
  container: ContainerSnapshot
  from: number
  to: number
  how: 'live' | 'frozen' | 'cold'
  makesRoomFor: string | null
  /** Those that leave its destination, and so must have left first. */
  after: Planned[]
}

/** What is hard to place goes while there is room; who goes when is decided later. */
function hardestFirst(layout: Layout, containers: readonly ContainerSnapshot[]): ContainerSnapshot[] {
  const size = (container: ContainerSnapshot) => layout.sizeOn(container, layout.whereIs(container))
  const priority = ({ demand }: ContainerSnapshot) => demand.priority ?? 0
  return containers
    .filter((container) => layout.whereIs(container) >= 0)
    .sort(
      (left, right) =>
        priority(right) - priority(left) ||
        size(right) - size(left) ||
        compareNames(left.demand.name, right.demand.name),
    )
}

/** Whoever is stopped on the way needs no host that takes live moves. */
function arrivingBy(container: ContainerSnapshot, how: Leaving): ContainerSnapshot {
  const live = how === 'live' || how === 'frozen'
  if (container.demand.live === live) return container
  return { ...container, demand: { ...container.demand, live } }
}

function send(layout: Layout, planned: Planned[], container: ContainerSnapshot, to: number, how: Planned['how']): void {
  const after = planned.filter(({ from }) => from === to)
  planned.push({ container, from: layout.whereIs(container), to, how, makesRoomFor: null, after })
  layout.move(container, to)
}

/** Null: room was made and it goes. */
function withRoom(
  layout: Layout,
  container: ContainerSnapshot,
  settled: Set<ContainerSnapshot>,
  allowed: (host: number) => boolean,
  policy: EvacuationPolicy,
  how: Planned['how'],
  planned: Planned[],
): { reason: string; room: string | null } | null {
  const reason = whyNowhere(layout, container, allowed)
  const room = clearRoom(layout, container, allowed, policy.room, settled)
  if (room === null) return { reason, room: null }
  const host = layout.hosts[room.host]!.name
  if (!policy.mayMakeRoom) {
    for (const { container: mover, from } of [...room.moves].reverse()) layout.move(mover, from)
    const movers = room.moves.map(({ container: mover, to }) => `${mover.demand.name} to ${layout.hosts[to]!.name}`)
    return { reason, room: `${host} would have room if ${movers.join(' and ')} were moved` }
  }
  for (const { container: mover, from, to } of room.moves) {
    const after = planned.filter((before) => before.from === to)
    planned.push({ container: mover, from, to, how: 'live', makesRoomFor: container.demand.name, after })
  }
  for (const { container: mover } of room.moves) settled.add(mover)
  send(layout, planned, container, room.host, how)
  settled.add(container)
  return null
}

/** The refusals by name, most frequent first. */
function whyNowhere(layout: Layout, container: ContainerSnapshot, allowed: (host: number) => boolean): string {
  const counts = new Map<string, number>()
  let others = 0
  for (let host = 0; host < layout.hosts.length; host++) {
    if (!allowed(host)) continue
    others++
    const name = layout.refusal(container, host)?.name
    if (name) counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  if (others === 0) return 'there is no host that is not emptied as well'
  const causes = [...counts].sort(([a, m], [b, n]) => n - m || compareNames(a, b)).map(([name, n]) => `${n} ${name}`)
  return `none of ${others} hosts can take it: ${causes.join(', ')}`
}

/**
 * Begins each move as early as the lanes allow; among those that can begin, important containers first, then the largest
 * benefit: what it frees of the host, per second that it takes.
 */
function scheduled(layout: Layout, planned: readonly Planned[], policy: EvacuationPolicy): EvacuationMove[] {
  const entries = planned.map((move) => {
    const cost = moveCost(move.container, policy.moveModel)
    const benefit = layout.sizeOn(move.container, move.from) / Math.max(1, cost.durationMs)
    return { move, cost, benefit, name: move.container.demand.name, priority: move.container.demand.priority ?? 0 }
  })
  entries.sort(
    (left, right) =>
      Number(right.move.makesRoomFor !== null) - Number(left.move.makesRoomFor !== null) ||
      right.priority - left.priority ||
      right.benefit - left.benefit ||
      compareNames(left.name, right.name),
  )
  const ends = new Map<Planned, number>()
  let running: { endMs: number; hosts: number[] }[] = []
  const moves: EvacuationMove[] = []
  const waiting = [...entries]
  let nowMs = 0
  while (waiting.length > 0) {
    const full = running.length >= policy.parallel
    const at = full ? -1 : waiting.findIndex(({ move }) => mayBegin(move, nowMs, running, ends, policy))
    if (at < 0) {
      nowMs = Math.min(...running.map(({ endMs }) => endMs))
      if (!Number.isFinite(nowMs)) throw new Error('planEvacuation: moves wait for each other')
      running = running.filter(({ endMs }) => endMs > nowMs)
      continue
    }
    const [{ move, cost, name }] = waiting.splice(at, 1) as [(typeof entries)[number]]
    const endMs = nowMs + cost.durationMs
    ends.set(move, endMs)
    running.push({ endMs, hosts: [move.from, move.to] })
    moves.push({
      container: name,
      from: layout.hosts[move.from]!.name,
      to: layout.hosts[move.to]!.name,
      how: move.how,
      makesRoomFor: move.makesRoomFor,
      cost,
      startMs: nowMs,
      endMs,
    })
  }
  return moves
}

function mayBegin(
  move: Planned,
  nowMs: number,
  running: readonly { endMs: number; hosts: number[] }[],
  ends: ReadonlyMap<Planned, number>,
  policy: EvacuationPolicy,
): boolean {
  if (move.after.some((before) => (ends.get(before) ?? Number.POSITIVE_INFINITY) > nowMs)) return false
  return [move.from, move.to].every(
    (host) => running.filter(({ hosts }) => hosts.includes(host)).length < policy.parallelPerHost,
  )
}

function summary(
  host: string,
  moves: readonly EvacuationMove[],
  stays: EvacuationPlan['stays'],
): EvacuationPlan['hosts'][number] {
  const leaving = moves.filter(({ from, makesRoomFor }) => from === host && makesRoomFor === null)
  const staying = stays.filter((stay) => stay.host === host).length
  const emptyMs = staying > 0 ? null : Math.max(0, ...leaving.map(({ endMs }) => endMs))
  return { host, leaves: leaving.length, stays: staying, emptyMs }
}

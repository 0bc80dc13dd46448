// Room here, or another machine? For each demand that fits nowhere: if few enough moves make room, they are worth more than
// a machine; else machines are asked for, as few as hold all that is pending; what no machine on offer holds is refused.
// The request is data: the caller's hook (a webhook or a program) turns it into machines, and demands stay pending meanwhile.

import type { Resources } from '@drover/protocol'
import { placeAll } from '../place-all.ts'
import { quotaRefusal } from '../quotas.ts'
import type { ClusterSnapshot, Demand, HostSnapshot } from '../snapshot.ts'
import { clearRoom, type RoomPolicy, usualRoomPolicy } from './clear-room.ts'
import type { ContainerSnapshot } from './container-snapshot.ts'
import { Layout } from './layout.ts'
import { type MoveModel, moveCost, usualMoveModel } from './move-cost.ts'

export interface MachineShape {
  name: string
  capacity: Resources
  /** In any unit, the same for all shapes. */
  price: number
  /** Everything else that a host has: labels, pool, features. */
  host?: Partial<Omit<HostSnapshot, 'name' | 'capacity' | 'requested'>>
}

export interface ProvisionPolicy {
  shapes: readonly MachineShape[]
  /** The most machines in one request. */
  maxMachines: number
  room: RoomPolicy
  /** Making room is not worth more blackout than this, summed over all who move. */
  maxBlackoutMs: number
  moveModel: MoveModel
}

export const usualProvisionPolicy: Omit<ProvisionPolicy, 'shapes'> = {
  maxMachines: 16,
  room: usualRoomPolicy,
  maxBlackoutMs: 5_000,
  moveModel: usualMoveModel,
}

export interface ProvisionRequest {
  shape: string
  machines: number
  /** The demands that the machines are for. */
  pending: string[]
}

export type RoomDecision =
  | { demand: string; kind: 'fits'; host: string; reason: string }
  | {
      demand: string
      kind: 'make-room'
      host: string
      moves: { container: string; from: string; to: string }[]
      reason: string
    }
  | { demand: string; kind: 'provision'; shape: string; reason: string }
  | { demand: string; kind: 'refuse'; reason: string }

export interface ProvisionPlan {
  /** In the order of the demands. */
  decisions: RoomDecision[]
  requests: ProvisionRequest[]
}

export function decideRoom(
  snapshot: ClusterSnapshot,
  containers: readonly ContainerSnapshot[],
  pending: readonly Demand[],
  policy: ProvisionPolicy,
  seed: number,
): ProvisionPlan {
  const placed = placeAll(snapshot, pending, seed)
  const layout = new Layout(snapshot, containers)
  const arrivals = pending.map(arriving)
  const settled = new Set<ContainerSnapshot>()
  const decisions = new Array<RoomDecision>(pending.length)
  placed.forEach(({ host, placement }, index) => {
    if (host === null) return
    layout.move(arrivals[index]!, layout.indexOf(host))
    settled.add(arrivals[index]!)
    decisions[index] = { demand: pending[index]!.name, kind: 'fits', host, reason: placement.reason }
  })
  const homeless: number[] = []
  arrivals.forEach((arrival, index) => {
    if (decisions[index]) return
    const overQuota = quotaRefusal(snapshot.projects, arrival.demand)
    if (overQuota !== null) {
      decisions[index] = { demand: arrival.demand.name, kind: 'refuse', reason: overQuota.detail }
      return
    }
    const room = roomFor(layout, arrival, settled, policy)
    if (room === null) homeless.push(index)
    else {
      settled.add(arrival)
      decisions[index] = room
    }
  })
  const requests = machinesFor(pending, homeless, decisions, policy, seed)
  return { decisions, requests }
}

function roomFor(
  layout: Layout,
  arrival: ContainerSnapshot,
  settled: ReadonlySet<ContainerSnapshot>,
  policy: ProvisionPolicy,
): RoomDecision | null {
  const room = clearRoom(layout, arrival, () => true, policy.room, settled)
  if (room === null) return null
  const blackoutMs = room.moves.reduce(
    (sum, { container }) => sum + moveCost(container, policy.moveModel).blackoutMs,
    0,
  )
  if (blackoutMs > policy.maxBlackoutMs) {
    for (const { container, from } of [...room.moves].reverse()) layout.move(container, from)
    return null
  }
  layout.move(arrival, room.host)
  const name = (host: number) => layout.hosts[host]!.name
  return {
    demand: arrival.demand.name,
    kind: 'make-room',
    host: name(room.host),
    moves: room.moves.map(({ container, from, to }) => ({
      container: container.demand.name,
      from: name(from),
      to: name(to),
    })),
    reason: `${room.moves.length} moves make room on ${name(room.host)}, with ${Math.round(blackoutMs)} ms of blackout in all`,
  }
}

/** Of the shapes that hold all that any holds, the cheapest sum; ties: fewer machines. Fills `decisions`. */
function machinesFor(
  pending: readonly Demand[],
  homeless: readonly number[],
  decisions: RoomDecision[],
  policy: ProvisionPolicy,
  seed: number,
): ProvisionRequest[] {
  const demands = homeless.map((index) => ({ ...pending[index]!, host: null }))
  const options = policy.shapes.map((shape) => {
    const machines = Array.from({ length: Math.min(policy.maxMachines, demands.length) }, (_, at) => machine(shape, at))
    const results = placeAll({ hosts: machines }, demands, seed)
    const used = new Set(results.flatMap(({ host }) => (host === null ? [] : [host]))).size
    return { shape, results, used, held: results.filter(({ host }) => host !== null).length }
  })
  options.sort(
    (left, right) =>
      right.held - left.held || left.used * left.shape.price - right.used * right.shape.price || left.used - right.used,
  )
  const best = options[0]
  const held: string[] = []
  homeless.forEach((index, at) => {
    const demand = pending[index]!.name
    if (best && best.results[at]!.host !== null) {
      held.push(demand)
      const reason = `no host has room, and none can be made within ${policy.room.maxMovers} moves: a ${best.shape.name} is asked for`
      decisions[index] = { demand, kind: 'provision', shape: best.shape.name, reason }
    } else {
      const shapes = policy.shapes.map(({ name }) => name).join(', ')
      const reason =
        shapes === ''
          ? 'no host has room, and no machines are on offer'
          : `no host has room, and no machine on offer holds it (${shapes}; at most ${policy.maxMachines})`
      decisions[index] = { demand, kind: 'refuse', reason }
    }
  })
  return best && held.length > 0 ? [{ shape: best.shape.name, machines: best.used, pending: held }] : []
}

function machine({ name, capacity, host }: MachineShape, at: number): HostSnapshot {
  return {
    ready: true,
    cordoned: false,
    migratable: true,
    images: new Set(),
    containers: 0,
    ...host,
    name: `${name}-${at}`,
    capacity,
    requested: { cpuMilli: 0, memoryBytes: 0, diskBytes: 0, pids: 0 },
  }
}

/** A demand as a container that is nowhere yet. */
function arriving(demand: Demand): ContainerSnapshot {
  return { demand, host: '', movable: true, use: null, residentBytes: 0, diskBytes: 0, dirtyBytesPerS: 0 }
}

// Why a container is where it is, and where it would go if it were placed now; what would become of a launch that nobody has asked
// for; and, where nothing fits, who would have to move or to be stopped to make room. Nothing is changed by asking.

import {
  type ContainerExplanation,
  DroverError,
  type ExplainRequest,
  type LaunchExplanation,
  type Operation,
} from '@drover/protocol'
import { place, type RoomPlan } from '@drover/scheduler'
import { clusterSnapshot } from '../core/cluster-snapshot.ts'
import { demandOf } from '../core/demand.ts'
import { whyItWaits } from '../core/planner-resume.ts'
import { describePreempted, heldRequests } from '../core/preemption.ts'
import { planRoomFor } from '../core/room-plan.ts'
import { containerByName } from '../core/state.ts'
import type { ControllerContext } from './context.ts'
import { demandOfLaunch } from './launch-demand.ts'
import type { requestsOf } from './launch-spec.ts'
import { roomContext } from './making-room.ts'

export function explainContainer(context: ControllerContext, name: string): ContainerExplanation {
  const { machine, reports, now } = context
  const { state } = machine
  const container = containerByName(state, name)
  if (!container) {
    throw new DroverError('CONTAINER_NOT_FOUND', `no container is named ${name}`, { context: { container: name } })
  }
  const { project: _project, ...demand } = demandOf(container, { host: null, excluded: [], live: false })
  const snapshot = clusterSnapshot(state, reports, now(), { without: container.id })
  // As if it were nowhere: what it takes where it is isn't in its own way.
  const hosts = snapshot.hosts.map((host) =>
    host.name === container.host ? leftBy(host, heldRequests(container)) : host,
  )
  const { placement } = place({ ...snapshot, hosts }, demand, 1)
  const waiting = { state, observed: reports, nowMs: now() }
  return {
    name,
    host: container.host,
    placed: container.placement,
    now: placement,
    lastMove: lastMoveOf(context, name),
    ...(container.preempted === undefined
      ? {}
      : { preempted: `${describePreempted(container.preempted)}: ${whyItWaits(waiting, container)}` }),
  }
}

export function explainLaunch(context: ControllerContext, asked: ExplainRequest): LaunchExplanation {
  const { machine, reports, now, pending } = context
  const { state } = machine
  const demand = demandOfLaunch(state, asked)
  const snapshot = clusterSnapshot(state, reports, now(), { pending: pending.values() })
  const { host, placement } = place(snapshot, demand, 1)
  if (host !== null) return { host, placement, room: null }
  const plan = asked.makeRoom === false ? null : planRoomFor(roomContext(context, 1), demand)
  return { host: null, placement, room: plan === null ? null : roomOf(plan) }
}

function roomOf({ host, moves, stopped, reason }: RoomPlan): LaunchExplanation['room'] {
  const stops = stopped.map((each) => ({ ...each, host }))
  return { host, moves, ...(stops.length === 0 ? {} : { stops }), reason }
}

function leftBy<Host extends { requested: ContainerRequests; containers: number }>(
  host: Host,
  requests: ContainerRequests,
): Host {
  const { requested } = host
  return {
    ...host,
    containers: host.containers - 1,
    requested: {
      cpuMilli: requested.cpuMilli - requests.cpuMilli,
      memoryBytes: requested.memoryBytes - requests.memoryBytes,
      diskBytes: requested.diskBytes - requests.diskBytes,
      pids: requested.pids - requests.pids,
    },
  }
}

type ContainerRequests = ReturnType<typeof requestsOf>

function lastMoveOf({ machine }: ControllerContext, name: string): ContainerExplanation['lastMove'] {
  let last: Operation | null = null
  for (const operation of machine.state.tables.operations.values()) {
    if (operation.kind !== 'move' || operation.target !== name || operation.state !== 'done') continue
    if (last === null || operation.revision > last.revision) last = operation
  }
  if (!last?.migration) return null
  const { source, destination } = last.migration
  return {
    from: source,
    to: destination,
    atMs: last.createdAtMs,
    reason: String(last.parameters.reason ?? 'asked for'),
  }
}

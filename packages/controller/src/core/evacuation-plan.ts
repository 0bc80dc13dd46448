// The whole plan of emptying hosts, from the state as it is: where all go and when, who stays and why. The same for a dry run as
// for the operation that carries it out.

import type { EvacuateRequest, EvacuationPlanView, Leave } from '@drover/protocol'
import { type ContainerSnapshot, planEvacuation, usualEvacuationPolicy } from '@drover/scheduler'
import { clusterSnapshot } from './cluster-snapshot.ts'
import { containerSnapshots, moveModelOf, waitsForRoom } from './container-snapshots.ts'
import type { PlannedMove } from './entries.ts'
import type { Observed } from './observed.ts'
import { type ClusterState, containerByName } from './state.ts'

/** How many containers leave a host at once: preparing overlaps, while the blackouts themselves go one by one. */
export const defaultParallel = 8

export type EvacuationWishes = Omit<EvacuateRequest, 'deadlineMs'> & { deadlineMs?: number | undefined }

/** `containers`: ids of those to plan for; missing: all that are on the hosts. */
export function evacuationPlan(
  state: ClusterState,
  observed: Observed,
  nowMs: number,
  hosts: readonly string[],
  wishes: EvacuationWishes,
  containers?: ReadonlySet<string>,
): EvacuationPlanView {
  const parallel = wishes.parallel ?? defaultParallel
  const emptied = new Set(hosts)
  const all = containerSnapshots(state, observed, nowMs)
    .filter(({ host, demand }) => !emptied.has(host) || concerned(state, demand.name, containers))
    .map((each) => (emptied.has(each.host) ? wholeOf(state, each) : each))
  const leaving: Record<string, Leave> = {}
  for (const each of all) if (emptied.has(each.host)) leaving[each.demand.name] = howItLeaves(state, each, wishes)
  const plan = planEvacuation(
    {
      snapshot: clusterSnapshot(state, observed, nowMs),
      containers: all,
      hosts,
      leaving,
      deadlineMs: wishes.deadlineMs ?? null,
    },
    {
      ...usualEvacuationPolicy,
      parallel,
      parallelPerHost: parallel,
      mayMakeRoom: wishes.mayMakeRoom ?? false,
      moveModel: moveModelOf(state),
    },
  )
  const moves = plan.moves.map(({ cost, ...move }) => ({ ...move, blackoutMs: cost.blackoutMs, bytes: cost.bytes }))
  return { ...plan, moves }
}

/** What was preempted goes to where there is all of its room, and starts there. */
function wholeOf(state: ClusterState, each: ContainerSnapshot): ContainerSnapshot {
  if (each.fixed !== waitsForRoom) return each
  const { requests } = containerByName(state, each.demand.name)!.spec
  return { ...each, movable: true, fixed: null, demand: { ...each.demand, requests } }
}

/** As the log keeps it: moves in the order of their beginning, then who is stopped, then who stays. */
export function plannedOf(state: ClusterState, plan: EvacuationPlanView): PlannedMove[] {
  const idOf = (name: string) => containerByName(state, name)?.id ?? ''
  return [
    ...plan.moves.map(({ container, from, to, how, makesRoomFor }) => ({
      container: idOf(container),
      name: container,
      destination: to,
      from,
      how,
      reason:
        makesRoomFor === null
          ? `host ${from} is emptied: ${to} is the fullest host that fits`
          : `makes room for ${makesRoomFor} on ${from}`,
      ...(makesRoomFor === null ? {} : { makesRoomFor }),
    })),
    ...plan.stops.map((name) => ({
      container: idOf(name),
      name,
      destination: null,
      how: 'stop' as const,
      reason: 'it is stopped, as its policy says',
    })),
    ...plan.stays.map(({ container, wished, reason, room }) => ({
      container: idOf(container),
      name: container,
      destination: null,
      ...(wished ? { how: 'stay' as const } : {}),
      reason: room === null ? reason : `${reason}; ${room}`,
    })),
  ]
}

function concerned(state: ClusterState, name: string, containers: ReadonlySet<string> | undefined): boolean {
  const container = containerByName(state, name)!
  return !container.deleting && (containers === undefined || containers.has(container.id))
}

/** The request's word for this container, its own, the request's for all, live. What is stopped has no memory to bring along. */
function howItLeaves(state: ClusterState, { demand }: ContainerSnapshot, { leave, leaveOf }: EvacuationWishes): Leave {
  const { spec, state: now } = containerByName(state, demand.name)!
  const wish = leaveOf?.[demand.name] ?? spec.scheduling?.leave ?? leave ?? 'live'
  if (now === 'stopped' && (wish === 'live' || wish === 'frozen')) return 'cold'
  if (now === 'frozen' && wish === 'live') return 'frozen'
  return wish
}

// The verdict about a live move, put together from what was seen in the container and what is known of the hosts. Pure: the move's
// own refusals use the same comparison (protocol/preflight.ts).

import {
  affinityNotes,
  coldFallback,
  featureNotes,
  featureObstacles,
  type Host,
  listensOf,
  type Preflight,
  type PreflightFinding,
  pinsOf,
} from '@drover/protocol'
import { describeAmount, listenRefusal } from '@drover/scheduler'
import { takenAmounts } from './host-amounts.ts'
import { isReady, type Observed } from './observed.ts'
import type { ClusterState, StoredContainer } from './state.ts'

/** What the container's host saw in it. */
export interface Seen {
  findings: PreflightFinding[]
  /** Hosts of earlier versions don't tell. */
  warnings?: PreflightFinding[]
}

/** `asked`: only this host is looked at; null: every other one. */
export function preflightOf(
  state: ClusterState,
  observed: Observed,
  nowMs: number,
  container: StoredContainer,
  seen: Seen,
  asked: string | null,
): Preflight {
  const findings = [...ofState(container), ...ofDevices(container), ...seen.findings]
  const warnings = seen.warnings ?? []
  const source = state.tables.hosts.get(container.host)
  const taken = takenAmounts(state, [], container.id)
  const others = [...state.tables.hosts.values()].filter(({ name }) =>
    asked === null ? name !== container.host : name === asked,
  )
  const hosts = others.map((host) => {
    const obstacles = source ? featureObstacles(source.features, host.features) : [`host ${container.host} is unknown`]
    if (host.name === container.host) obstacles.push('it is there already')
    if (!isReady(observed, host.name, nowMs)) obstacles.push('no recent report from its agent')
    if (host.cordoned) obstacles.push('it is cordoned')
    const listening = listenRefusal(taken.get(host.name)?.listens, listensOf(container.spec.devices))
    if (listening) obstacles.push(listening.detail)
    const notes = [
      ...(source ? featureNotes(source.features, host.features) : []),
      ...diskNotes(container, host),
      ...affinityNotes(warnings, Math.ceil(host.capacity.cpuMilli / 1000)),
    ]
    return { host: host.name, live: obstacles.length === 0, obstacles, notes }
  })
  const blocked = findings.some(({ passing }) => !passing)
  const live = !blocked && hosts.some((host) => host.live)
  return {
    container: container.name,
    host: container.host,
    live,
    findings,
    // Those about CPUs are told of the hosts that they are about.
    warnings: warnings.filter(({ cpus }) => cpus === undefined),
    hosts: hosts.sort((left, right) => (left.host < right.host ? -1 : 1)),
    fallback: live ? '' : fallbackOf(container),
  }
}

function diskNotes({ spec }: StoredContainer, { features }: Host): string[] {
  const size = spec.limits?.diskBytes
  if (size == null || features.diskLimits !== false) return []
  return [
    `nothing holds it to the ${describeAmount('diskBytes', size)} of its disk there: no project quotas (prjquota)`,
  ]
}

function ofState(container: StoredContainer): PreflightFinding[] {
  const { state } = container
  if (state === 'running') return []
  return [{ reason: 'NOT_RUNNING', pid: 0, process: '', message: `it is ${state}, not running`, passing: false }]
}

function ofDevices({ spec, host }: StoredContainer): PreflightFinding[] {
  return pinsOf(spec.devices).map(({ device, reason }) => ({
    reason: 'DEVICE',
    pid: 0,
    process: '',
    message: `device ${device} pins it to ${host}: ${reason}`,
    passing: false,
  }))
}

function fallbackOf({ state, spec }: StoredContainer): string {
  if (pinsOf(spec.devices).length > 0)
    return 'take the devices away (drover device rm): they keep it from a cold move, too'
  if (state === 'stopped') return 'it is stopped: a move takes its disk along, nothing else'
  return state === 'running' ? coldFallback : ''
}

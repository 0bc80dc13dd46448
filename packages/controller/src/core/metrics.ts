// The cluster in figures for Prometheus, as text (exposition format 0.0.4): pure. Labels are names of things that there are few of (hosts,
// states, kinds of operations); the series of single containers end at a bound, and the page says how many it left out.

import { type ContainerState, version } from '@drover/protocol'
import type { Observed } from './observed.ts'
import type { OperationCounts } from './operation-counts.ts'
import type { ClusterState } from './state.ts'
import { containerViews, hostViews } from './views.ts'

export interface ControllerFigures {
  cluster: string
  controller: string
  leads: boolean
  term: number
  appliedIndex: number
  /** Proposed and not applied yet. */
  pendingPlacements: number
  eventListeners: number
}

/** Containers that have series of their own, by name. */
export const maxContainerSeries = 5_000

type Labels = Record<string, string>
type Sample = [labels: Labels, value: number]

export function renderMetrics(
  state: ClusterState,
  observed: Observed,
  nowMs: number,
  figures: ControllerFigures,
  counts: OperationCounts,
): string {
  const page: string[] = []
  const add = (name: string, type: 'gauge' | 'counter', help: string, samples: readonly Sample[]) =>
    page.push(...family(name, type, help, samples))
  addController(add, figures)
  addHosts(add, state, observed, nowMs)
  addContainers(add, state, observed)
  addOperations(add, state, counts)
  page.push(
    ...histogram('drover_move_blackout_seconds', 'Moves that ended well, by how long nothing ran', counts.blackouts),
  )
  page.push(...histogram('drover_move_seconds', 'Moves that ended well, by how long they took', counts.moves))
  return `${page.join('\n')}\n`
}

type Add = (name: string, type: 'gauge' | 'counter', help: string, samples: readonly Sample[]) => void

function addController(add: Add, figures: ControllerFigures): void {
  const { cluster, controller } = figures
  const one = (value: number): Sample[] => [[{}, value]]
  add('drover_info', 'gauge', 'Which controller answers', [[{ cluster, controller, version }, 1]])
  add('drover_raft_leader', 'gauge', '1: this controller leads', one(figures.leads ? 1 : 0))
  add('drover_raft_term', 'counter', 'Term of the log', one(figures.term))
  add('drover_raft_applied_index', 'counter', 'Last entry of the log that was applied here', one(figures.appliedIndex))
  add('drover_pending_placements', 'gauge', 'Placements proposed and not applied yet', one(figures.pendingPlacements))
  add('drover_event_listeners', 'gauge', 'Clients that follow events here', one(figures.eventListeners))
}

function addHosts(add: Add, state: ClusterState, observed: Observed, nowMs: number): void {
  const hosts = hostViews(state, observed, nowMs)
  const of = (value: (host: (typeof hosts)[number]) => number | null): Sample[] =>
    hosts.flatMap((host) => {
      const figure = value(host)
      return figure === null ? [] : [[{ host: host.name }, figure]]
    })
  const statuses = ['ready', 'cordoned', 'silent'] as const
  const counted = statuses.map((status): Sample => [{ status }, hosts.filter((host) => host.status === status).length])
  add('drover_hosts', 'gauge', 'Hosts by status', counted)
  add(
    'drover_host_up',
    'gauge',
    '1: its agent is heard',
    of(({ status }) => (status === 'silent' ? 0 : 1)),
  )
  add(
    'drover_host_last_report_seconds',
    'gauge',
    'Since its last report',
    of(({ lastSeenMs }) => (lastSeenMs === null ? null : Math.max(0, nowMs - lastSeenMs) / 1000)),
  )
  add(
    'drover_host_containers',
    'gauge',
    'Containers that belong to it',
    of(({ containers }) => containers),
  )
  add(
    'drover_host_leftover_bytes',
    'gauge',
    'Disk that layers of containers which have left hold; given up for others',
    of(({ leftovers }) => leftovers?.bytes ?? null),
  )
  const resources = [
    ['cpu_cores', 'cpuMilli', 1 / 1000],
    ['memory_bytes', 'memoryBytes', 1],
    ['disk_bytes', 'diskBytes', 1],
    ['pids', 'pids', 1],
  ] as const
  for (const [name, key, unit] of resources) {
    add(
      `drover_host_capacity_${name}`,
      'gauge',
      'What it has',
      of(({ capacity }) => capacity[key] * unit),
    )
    add(
      `drover_host_requested_${name}`,
      'gauge',
      'What its containers ask for',
      of(({ requested }) => requested[key] * unit),
    )
    add(
      `drover_host_used_${name}`,
      'gauge',
      'What its containers use',
      of(({ used }) => (used === null ? null : used[key] * unit)),
    )
  }
}

function addContainers(add: Add, state: ClusterState, observed: Observed): void {
  const containers = containerViews(state)
  const states: ContainerState[] = [
    'pending',
    'running',
    'stopped',
    'frozen',
    'migrating',
    'deleting',
    'failed',
    'unknown',
  ]
  const counted = states.map((each): Sample => [{ state: each }, containers.filter((one) => one.state === each).length])
  add('drover_containers', 'gauge', 'Containers by state', counted)
  const shown = containers.slice(0, maxContainerSeries)
  const left = containers.length - shown.length
  add('drover_container_series_left_out', 'gauge', `Containers beyond ${maxContainerSeries} that have no series`, [
    [{}, left],
  ])
  const byHost = new Map(
    [...observed.reports].map(([host, { report }]) => [
      host,
      new Map(report.containers.map((each) => [each.container, each])),
    ]),
  )
  const seen = shown.flatMap((container) => {
    const figures = byHost.get(container.host)?.get(container.id)
    return figures === undefined ? [] : [{ container, figures }]
  })
  const of = (value: (each: (typeof seen)[number]) => number): Sample[] =>
    seen.map((each) => [{ container: each.container.name, host: each.container.host }, value(each)])
  add(
    'drover_container_memory_bytes',
    'gauge',
    'Memory in use',
    of(({ figures }) => figures.memoryBytes),
  )
  add(
    'drover_container_cpu_seconds_total',
    'counter',
    'Processor time since its start',
    of(({ figures }) => figures.cpuUsec / 1e6),
  )
  add(
    'drover_container_starts_total',
    'counter',
    'How often its init was started',
    of(({ figures }) => figures.starts),
  )
  add(
    'drover_container_oom_kills_total',
    'counter',
    'Processes killed at its limit of memory since it was made',
    of(({ container }) => container.oomKills?.total ?? container.memory?.oomKills ?? 0),
  )
}

function addOperations(add: Add, state: ClusterState, counts: OperationCounts): void {
  const running = new Map<string, number>()
  for (const id of state.running) {
    const { kind } = state.tables.operations.get(id)!
    running.set(kind, (running.get(kind) ?? 0) + 1)
  }
  const sorted = [...running].sort(([left], [right]) => (left < right ? -1 : 1))
  add(
    'drover_operations_running',
    'gauge',
    'Operations under way',
    sorted.map(([kind, value]) => [{ kind }, value]),
  )
  const ended = [...counts.ended.values()].map(
    ({ kind, state: outcome, count }): Sample => [{ kind, state: outcome }, count],
  )
  add('drover_operations_ended_total', 'counter', 'Operations that ended since this controller began', ended)
}

function family(name: string, type: string, help: string, samples: readonly Sample[]): string[] {
  if (samples.length === 0) return []
  return [
    `# HELP ${name} ${help}.`,
    `# TYPE ${name} ${type}`,
    ...samples.map(([labels, value]) => line(name, labels, value)),
  ]
}

function histogram(name: string, help: string, { bounds, counts, sum, total }: OperationCounts['moves']): string[] {
  let below = 0
  const buckets = bounds.map((bound, index) => {
    below += counts[index] ?? 0
    return line(`${name}_bucket`, { le: String(bound) }, below)
  })
  return [
    `# HELP ${name} ${help}.`,
    `# TYPE ${name} histogram`,
    ...buckets,
    line(`${name}_bucket`, { le: '+Inf' }, total),
    line(`${name}_sum`, {}, sum),
    line(`${name}_count`, {}, total),
  ]
}

function line(name: string, labels: Labels, value: number): string {
  const words = Object.entries(labels).map(([key, text]) => `${key}="${escaped(text)}"`)
  return `${name}${words.length === 0 ? '' : `{${words.join(',')}}`} ${value}`
}

const escaped = (text: string): string => text.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')

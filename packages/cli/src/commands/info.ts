// `drover info`: everything about one container, with why it was placed there and the figures of its last move.

import type {
  Autostart,
  Container,
  FirstBootOutcome,
  Operation,
  Preflight,
  Profile,
  RestartPolicy,
  Security,
  Snapshot,
  StopPolicy,
} from '@drover/protocol'
import { firstBootLog } from '@drover/protocol/plain'
import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { expandedSettings } from '../expanded.ts'
import { parseName } from '../names.ts'
import { shownState } from '../output/container-columns.ts'
import { formatAge, formatTime } from '../output/durations.ts'
import { describeLimits, describePressure, describeRlimits } from '../output/limits.ts'
import { listFigures } from '../output/migration.ts'
import type { Output } from '../output/output.ts'
import { type Palette, paintState } from '../output/palette.ts'
import { formatBytes, formatCpu } from '../output/sizes.ts'
import { renderFields, renderTable } from '../output/table.ts'
import { placementTable } from './explain.ts'
import { describeMoved } from './move.ts'
import { summarizePreflight } from './preflight.ts'

/** Its host looks at it in milliseconds. One that hangs isn't waited for. */
const verdictDeadlineMs = 5_000

export function register(program: Command): void {
  defineCommand(program, 'info', {
    summary: 'show everything about a container',
    examples: [
      ['drover info web-1', 'state, addresses, placement, last move'],
      ['drover info web-1 --expanded', 'each setting, and which profile it comes from'],
      ['drover info web-1 --json', 'for programs: the container, and its last move as lastMove'],
    ],
  })
    .argument('<container>', 'name of the container', parseName)
    .option('--expanded', 'its settings, and from which profile each comes')
    .action(
      action(async ({ output, client }, name: string, flags: { expanded?: boolean }) => {
        const api = await client()
        if (flags.expanded) return showExpanded(output, await api.container(name), await api.profiles())
        // Its host may be silent, and everything else is worth knowing all the same.
        const verdict = api.preflight(name, null, { signal: AbortSignal.timeout(verdictDeadlineMs) }).catch(() => null)
        const [container, operations, preflight] = await Promise.all([api.container(name), api.operations(), verdict])
        const lastMove = findLastMove(container, operations)
        output.result({ ...container, lastMove, preflight }, () =>
          describeContainer(output.palette, container, lastMove, Date.now(), preflight),
        )
      }),
    )
}

function showExpanded(output: Output, container: Container, profiles: readonly Profile[]): void {
  const settings = expandedSettings(container, profiles)
  output.result(settings, () =>
    renderTable(
      output.palette,
      [
        { header: 'SETTING', value: ({ key }) => key },
        { header: 'VALUE', value: ({ value }) => (typeof value === 'string' ? value : JSON.stringify(value)) },
        { header: 'FROM', value: ({ from }) => (from === 'container' ? from : output.palette.dim(from)) },
      ],
      settings,
    ),
  )
}

export function findLastMove(container: Container, operations: readonly Operation[]): Operation | null {
  const moves = operations.filter(({ kind, state, migration }) => {
    return kind === 'move' && state !== 'running' && migration?.container === container.id
  })
  return moves.reduce<Operation | null>((last, each) => (last && last.revision > each.revision ? last : each), null)
}

export function describeContainer(
  palette: Palette,
  container: Container,
  lastMove: Operation | null,
  nowMs: number,
  preflight: Preflight | null = null,
): string {
  const { identity, spec, placement } = container
  const { requests } = spec
  const up = container.startedAtMs === null ? '' : ` for ${formatAge(container.startedAtMs, nowMs)}`
  const state = `${paintState(palette, shownState(container))}${container.state === 'running' ? up : ''}`
  const fields = renderFields(palette, [
    ['name', palette.bold(container.name)],
    ['state', container.message ? `${state} (${container.message})` : state],
    ['host', `${container.host} · epoch ${container.epoch}`],
    ['image', `${spec.imageName} · ${spec.image.slice(0, 19)}…`],
    [
      'asks for',
      `${formatCpu(requests.cpuMilli)} cores · ${formatBytes(requests.memoryBytes)} memory · ${formatBytes(requests.diskBytes)} disk · ${requests.pids} pids`,
    ],
    ['limits', describeLimits(spec)],
    ['gives way', describeGivingWay(spec)],
    ['memory', describePressure(container, nowMs)],
    ['first boot', describeFirstBoot(palette, container.firstBoot)],
    ['devices', Object.keys(spec.devices ?? {}).join(' ') || null],
    ['security', describeSecurity(palette, spec.security)],
    ['sysctls', describePairs(spec.sysctls ?? {})],
    ['rlimits', describeRlimits(spec.rlimits)],
    ['profiles', spec.profiles?.join(' ') || null],
    ['restart', spec.restart && spec.restart.policy !== 'no' ? describeRestart(spec.restart) : null],
    ['autostart', describeAutostart(spec.autostart)],
    ['stop', describeStop(spec.stop)],
    ['address', [identity.ipv4, identity.ipv6, identity.mac].filter(Boolean).join(' · ')],
    ['gateway', identity.gateway],
    ['machine id', identity.machineId],
    ['uids', spec.security?.privileged ? 'the host’s own' : `${identity.uidBase}–${identity.uidBase + 65_535}`],
    ['init', `${spec.init.join(' ')}${container.initPid === null ? '' : ` · pid ${container.initPid} on the host`}`],
    [
      'started',
      container.startedAtMs === null
        ? null
        : `${formatTime(container.startedAtMs)} · ${container.starts} ${container.starts === 1 ? 'start' : 'starts'} in all`,
    ],
    ['created', `${formatTime(container.createdAtMs)} · ${container.id}`],
    ['snapshots', describeSnapshots(container.snapshots ?? [])],
    ['environment', describePairs(spec.environment)],
    ['labels', describePairs(spec.labels)],
    ['live move', preflight && container.state === 'running' ? summarizePreflight(palette, preflight) : null],
    ['under way', container.operation],
  ])
  const placed = `${palette.bold('placed')} on ${placement.chosen}: ${placement.reason}\n${placementTable(palette, placement)}`
  return [fields, placed, ...(lastMove ? [describeLastMove(palette, lastMove)] : [])].join('\n\n')
}

function describeLastMove(palette: Palette, move: Operation): string {
  const { migration, error, state } = move
  const figures = migration
    ? renderFields(
        palette,
        listFigures(migration.figures).map(([key, value]) => [`  ${key}`, value]),
      )
    : ''
  const headline =
    state === 'done'
      ? describeMoved(move)
      : `move to ${migration?.destination} ${state}${error ? `: ${error.message}` : ''}; it stayed on ${migration?.source}`
  return `${palette.bold('last move')} ${formatTime(move.createdAtMs)} · ${headline}\n${figures}`.trimEnd()
}

function describeSnapshots(snapshots: readonly Snapshot[]): string | null {
  const newest = snapshots.at(-1)
  if (!newest) return null
  const bytes = snapshots.reduce((total, { sizeBytes }) => total + sizeBytes, 0)
  return `${snapshots.length} · ${formatBytes(bytes)} · newest ${newest.name}`
}

function describeFirstBoot(palette: Palette, outcome: FirstBootOutcome | undefined): string | null {
  if (outcome === undefined) return null
  const { state, by, message } = outcome
  const log = by === 'drover' ? firstBootLog : '/var/log/cloud-init-output.log'
  const words = message === '' ? '' : `: ${message}`
  return `${state === 'failed' ? palette.red(state) : state}${words} · by ${by}, which writes ${log}`
}

/** Null: as its pool says. */
function describeGivingWay({ scheduling }: Container['spec']): string | null {
  if (scheduling?.preemptible === undefined) return null
  return scheduling.preemptible
    ? `to what has a higher priority than ${scheduling.priority ?? 0}: it may be stopped for it`
    : 'to nobody: it is not stopped to make room'
}

/** Null: as usual. */
function describeSecurity(palette: Palette, security: Security = {}): string | null {
  const { addCapabilities: added = [], dropCapabilities: dropped = [] } = security
  const parts = [
    ...(security.privileged ? [palette.red('PRIVILEGED: root inside is root of the host')] : []),
    ...(security.nesting ? ['nesting'] : []),
    ...(added.length > 0 ? [`with ${added.join(' ')}`] : []),
    ...(dropped.length > 0 ? [`without ${dropped.join(' ')}`] : []),
    ...(security.denySyscalls?.length ? [`no ${security.denySyscalls.join(' ')}`] : []),
    ...(security.allowSyscalls?.length ? [`with system calls ${security.allowSyscalls.join(' ')}`] : []),
    ...(security.addressFilter === false ? ['no address filter'] : []),
  ]
  return parts.length === 0 ? null : parts.join(' · ')
}

/** Null: as usual. */
function describeStop({ signal, priority, hostTimeoutMs }: StopPolicy = {}): string | null {
  const parts = [
    signal == null ? null : `by signal ${signal}`,
    priority ? `priority ${priority}` : null,
    hostTimeoutMs === undefined ? null : `killed after ${hostTimeoutMs / 1000} s when its host goes down`,
  ].filter((part) => part !== null)
  return parts.length === 0 ? null : parts.join(' · ')
}

const describeRestart = ({ policy, most }: RestartPolicy) =>
  most === 0 ? policy : `${policy}, at most ${most} times in a row`

/** Null: as usual. */
function describeAutostart(autostart: Autostart | undefined): string | null {
  if (!autostart || (autostart.enabled && autostart.order === 0 && autostart.delayMs === 0)) return null
  if (!autostart.enabled) return 'no: stays stopped when its host has booted'
  return `order ${autostart.order}${autostart.delayMs > 0 ? `, after ${autostart.delayMs / 1000} s` : ''}`
}

function describePairs(pairs: Record<string, string>): string | null {
  const list = Object.entries(pairs).map(([key, value]) => `${key}=${value}`)
  return list.length === 0 ? null : list.join(' ')
}

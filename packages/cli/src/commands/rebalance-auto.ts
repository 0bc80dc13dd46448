// `drover rebalance auto`: the cluster rebalances itself, or says what it would do.

import type { RebalanceRecord, RebalanceSettings, RebalanceStatus } from '@drover/protocol'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { action, defineCommand, defineGroup } from '../define-command.ts'
import { followToSuccess } from '../follow-operation.ts'
import { formatTime, parseDuration } from '../output/durations.ts'
import type { Palette } from '../output/palette.ts'
import { parseCount, percent } from '../output/sizes.ts'
import { renderFields, renderTable } from '../output/table.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'

type QuietHours = NonNullable<RebalanceSettings['quietHours']>

interface AutoFlags extends WaitFlags {
  interval?: number
  startAbove?: number
  stopAt?: number
  hotAbove?: number
  minGain?: number
  cooldown?: number
  hostCooldown?: number
  budget?: number
  concurrent?: number
  quiet?: QuietHours
  consolidate?: 'on' | 'off'
  spare?: number
  emptyBelow?: number
  afterwards?: NonNullable<RebalanceSettings['afterwards']>
}

export function register(parent: Command): void {
  const group = defineGroup(parent, 'auto', 'let the cluster rebalance itself')
  turnOn(group, 'on', 'rebalance by itself, within cooldowns, budget and quiet hours')
  turnOn(group, 'dry-run', 'plan by itself and keep the plans, but move nobody')
  turnOff(group)
  status(group)
  history(group)
}

function turnOn(group: Command, mode: 'on' | 'dry-run', summary: string): void {
  const command = defineCommand(group, mode, {
    summary,
    description: `${summary.charAt(0).toUpperCase()}${summary.slice(1)}. What isn't named stays as it was; docs/scheduling.md has the
defaults. Hosts short of memory are relieved in quiet hours as well.`,
    examples: [
      [`drover rebalance auto ${mode}`, 'with the usual restraint'],
      [`drover rebalance auto ${mode} --quiet 22:00-06:00 --budget 10`, 'never at night (UTC), ten moves an hour'],
      [`drover rebalance auto ${mode} --start-above 0.2 --stop-at 0.1`, 'begin later'],
      [`drover rebalance auto ${mode} --consolidate on --spare 1`, 'and empty hosts that are little used'],
    ],
  })
    .option('--interval <duration>', 'time between two plans, e.g. 60s', parseDuration)
    .option('--start-above <share>', 'imbalance at which evening out begins, e.g. 0.15', parseShare)
    .option('--stop-at <share>', 'imbalance at which it ends, e.g. 0.08', parseShare)
    .option('--hot-above <share>', 'a host used beyond this is relieved, e.g. 0.85', parseShare)
    .option('--min-gain <share>', 'what a move must gain at least, e.g. 0.05', parseShare)
    .option('--cooldown <duration>', 'a moved container rests so long, e.g. 6h', parseDuration)
    .option('--host-cooldown <duration>', 'a host that gave or took one rests so long, e.g. 5m', parseDuration)
    .option('--budget <number>', 'most moves in an hour', parseCount(0, 10_000))
    .option('--concurrent <number>', 'most moves at once', parseCount(1, 32))
    .addOption(new Option('--consolidate <on|off>', 'empty whole hosts, and close them').choices(['on', 'off']))
    .option('--spare <number>', 'empty hosts that stay open (default: 1)', parseCount(0, 1000))
    .option('--empty-below <share>', 'only hosts used less than this are emptied, e.g. 0.5', parseShare)
    .addOption(
      new Option('--afterwards <what>', 'what the machines hook is told of an emptied host').choices([
        'hand-back',
        'power-down',
        'keep',
      ]),
    )
    .option('--quiet <HH:MM-HH:MM>', 'no moves in these hours (UTC); repeatable', parseQuiet)
  addWaitOptions(command).action(
    action(async (session, flags: AutoFlags) => {
      const client = await session.client()
      const operation = await client.changePolicy({ rebalance: { mode, ...settingsOf(flags) } })
      const ended = await followToSuccess(session, operation, flags)
      session.output.result(ended, () => `automatic rebalancing: ${ended.progress.message}`)
    }),
  )
}

function turnOff(group: Command): void {
  const command = defineCommand(group, 'off', {
    summary: 'rebalance by hand only; what is under way ends',
    examples: [
      ['drover rebalance auto off', 'keeps the settings'],
      ['drover rebalance auto off --reset', 'and forgets them'],
    ],
  }).option('--reset', 'back to the default settings')
  addWaitOptions(command).action(
    action(async (session, flags: WaitFlags & { reset?: boolean }) => {
      const client = await session.client()
      const operation = await client.changePolicy({ rebalance: flags.reset ? null : { mode: 'off' } })
      const ended = await followToSuccess(session, operation, flags)
      session.output.result(ended, () => 'automatic rebalancing is off')
    }),
  )
}

function status(group: Command): void {
  defineCommand(group, 'status', {
    summary: 'show whether it is on, what it did last, and what is left of the budget',
    examples: [['drover rebalance auto status', 'at a glance']],
  }).action(
    action(async ({ output, client }) => {
      const now = await (await client()).rebalanceStatus()
      output.result(now, () => describeStatus(output.palette, now))
    }),
  )
}

function history(group: Command): void {
  defineCommand(group, 'history', {
    summary: 'list plans that were carried out, and dry runs',
    examples: [['drover rebalance auto history', 'oldest first, with the reason of each move']],
    json: 'print one JSON array on stdout: the plans that were kept, oldest first',
  }).action(
    action(async ({ output, client }) => {
      const records = await (await client()).rebalanceHistory()
      output.result(records, () => records.map((record) => describeRecord(output.palette, record)).join('\n'))
    }),
  )
}

function settingsOf(flags: AutoFlags): RebalanceSettings {
  const seconds = (ms: number | undefined) => (ms === undefined ? undefined : Math.max(1, Math.round(ms / 1000)))
  const given: { [Key in keyof RebalanceSettings]: RebalanceSettings[Key] | undefined } = {
    intervalS: seconds(flags.interval),
    startAbove: flags.startAbove,
    stopAt: flags.stopAt,
    hotAbove: flags.hotAbove,
    minGain: flags.minGain,
    containerCooldownS: seconds(flags.cooldown),
    hostCooldownS: seconds(flags.hostCooldown),
    movesPerHour: flags.budget,
    maxConcurrent: flags.concurrent,
    quietHours: flags.quiet,
    consolidate: flags.consolidate,
    spareHosts: flags.spare,
    emptyBelow: flags.emptyBelow,
    afterwards: flags.afterwards,
  }
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as RebalanceSettings
}

export function describeStatus(palette: Palette, now: RebalanceStatus): string {
  const { settings, last } = now
  const { mode, quietHours, ...rest } = settings
  const quiet = (quietHours ?? []).map(({ fromMinute, toMinute }) => `${clock(fromMinute)}–${clock(toMinute)} UTC`)
  return renderFields(palette, [
    ['automatic', mode === 'on' ? palette.green('on') : (mode ?? 'off')],
    [
      'settings',
      Object.entries(rest)
        .map(([key, value]) => `${key} ${value}`)
        .join(' · ') || 'the default ones',
    ],
    ['quiet hours', quiet.length === 0 ? null : quiet.join(', ')],
    ['imbalance', `${percent(now.imbalance)}${now.active ? ', being evened out' : ''}`],
    ['budget', `${now.movesLastHour} of ${now.movesPerHour} moves in the last hour`],
    ['now', now.operation === null ? null : `operation ${now.operation}`],
    ['last plan', last === null ? 'none yet' : describeHead(last)],
  ])
}

function describeRecord(palette: Palette, record: RebalanceRecord): string {
  const { moves } = record.plan
  const head = palette.bold(describeHead(record))
  if (moves.length === 0) return head
  const table = renderTable(
    palette,
    [
      { header: '', value: ({ container }) => `  ${container}` },
      { header: '', value: ({ from, to }) => `${from} → ${to}` },
      { header: '', value: ({ reason }) => reason },
      { header: '', value: ({ detail }) => palette.dim(detail) },
    ],
    moves,
  )
  return `${head}${table.replace(/^[^\n]*/, '')}`
}

function describeHead({ atMs, trigger, operation, plan }: RebalanceRecord): string {
  const how = operation === null ? (plan.moves.length > 0 ? 'dry run' : trigger) : trigger
  const outcome =
    plan.moves.length === 0
      ? plan.verdict.toLowerCase().replaceAll('_', ' ')
      : `${plan.moves.length} moves, imbalance ${percent(plan.imbalanceBefore)} → ${percent(plan.imbalanceAfter)}`
  return `${formatTime(atMs)} ${how}: ${outcome}`
}

function parseShare(text: string): number {
  const value = Number(text)
  if (text.trim() !== '' && value >= 0 && value <= 1) return value
  throw new InvalidArgumentError(`${JSON.stringify(text)} is not a share: use a number from 0 to 1.`)
}

/** `22:00-06:00` */
function parseQuiet(text: string, before: QuietHours = []): QuietHours {
  const match = /^(\d\d):(\d\d)-(\d\d):(\d\d)$/.exec(text)
  const [from = -1, to = -1] = match ? [minuteOf(match[1]!, match[2]!), minuteOf(match[3]!, match[4]!)] : []
  if (from >= 0 && to >= 0) return [...before, { fromMinute: from, toMinute: to }]
  throw new InvalidArgumentError(`${JSON.stringify(text)} are no hours: use e.g. 22:00-06:00.`)
}

const minuteOf = (hours: string, minutes: string): number =>
  Number(hours) < 24 && Number(minutes) < 60 ? Number(hours) * 60 + Number(minutes) : -1

const clock = (minute: number): string =>
  `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`

// The options by which a container says where it may run, as launch and explain take them.

import type { Scheduling } from '@drover/protocol'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { UsageError } from './failure.ts'
import { parseName, parseNames, parsePair } from './names.ts'

export interface SchedulingFlags {
  pool?: string
  require?: Record<string, string>
  architecture?: string
  pin?: string[]
  tolerate?: string[]
  group?: string
  groupRule?: 'spread' | 'pack'
  groupBy?: 'host' | 'rack' | 'zone'
  groupStrict?: boolean
  project?: string
  priority?: number
  leave?: NonNullable<Scheduling['leave']>
  heal?: NonNullable<Scheduling['heal']>
  preemptible?: boolean
}

export function addSchedulingOptions(command: Command): Command {
  return command
    .option('--require <KEY=VALUE>', 'only hosts with this label; repeatable', parsePair)
    .option('--pin <host>', 'only on one of these hosts, now and later; repeatable', parseNames)
    .option('--pool <name>', 'hosts of this pool (default: default)', parseName)
    .option('--architecture <name>', 'only hosts of this architecture')
    .option('--tolerate <taint>', 'may go to hosts with this taint; repeatable', gather)
    .option('--group <name>', 'member of this placement group', parseName)
    .addOption(
      new Option('--group-rule <rule>', 'members apart or together (default: spread)').choices(['spread', 'pack']),
    )
    .addOption(new Option('--group-by <topology>', 'of hosts, racks or zones').choices(['host', 'rack', 'zone']))
    .option('--group-strict', 'the group’s rule is a must, not a preference')
    .option('--project <name>', 'counts against this project’s quota', parseName)
    .option('--priority <number>', 'higher is more important (default: 0)', parsePriority)
    .addOption(
      new Option('--leave <how>', 'how it leaves a host that is emptied (default: live)').choices([
        'live',
        'frozen',
        'cold',
        'stop',
        'stay',
      ]),
    )
    .addOption(
      new Option(
        '--heal <how>',
        'when its host is lost: wait for it, or begin again elsewhere, fresh from its image (default: wait)',
      ).choices(['wait', 'fresh']),
    )
    .option('--preemptible', 'may be stopped to make room for a more important one; starts again when there is room')
}

/** Null: nothing was said. */
export function schedulingOf(flags: SchedulingFlags): Scheduling | null {
  const { group, groupRule, groupBy, groupStrict } = flags
  if (group === undefined && (groupRule !== undefined || groupBy !== undefined || groupStrict !== undefined)) {
    throw new UsageError('--group-rule, --group-by and --group-strict say how a --group is placed; name the group')
  }
  const scheduling: Scheduling = {
    ...(flags.pool === undefined ? {} : { pool: flags.pool }),
    ...(flags.require === undefined ? {} : { require: flags.require }),
    ...(flags.architecture === undefined ? {} : { architecture: flags.architecture }),
    ...(flags.pin === undefined ? {} : { hosts: flags.pin }),
    ...(flags.tolerate === undefined ? {} : { tolerate: flags.tolerate }),
    ...(group === undefined
      ? {}
      : {
          group: {
            name: group,
            kind: groupRule ?? 'spread',
            strict: groupStrict === true,
            topology: groupBy ?? 'host',
          },
        }),
    ...(flags.project === undefined ? {} : { project: flags.project }),
    ...(flags.priority === undefined ? {} : { priority: flags.priority }),
    ...(flags.leave === undefined ? {} : { leave: flags.leave }),
    ...(flags.heal === undefined ? {} : { heal: flags.heal }),
    ...(flags.preemptible === undefined ? {} : { preemptible: flags.preemptible }),
  }
  return Object.keys(scheduling).length === 0 ? null : scheduling
}

export const gather = (text: string, before: string[] = []): string[] => [...before, text]

function parsePriority(text: string): number {
  const value = Number(text)
  if (/^-?\d+$/.test(text) && Math.abs(value) <= 1000) return value
  throw new InvalidArgumentError(`${JSON.stringify(text)} is not a whole number from -1000 to 1000.`)
}

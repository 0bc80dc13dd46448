// `drover transfer`: how much of hosts and network moves may take, all together.

import type { MoveLimits } from '@drover/protocol'
import { defaultMovesPerHost, defaultMovesPerLink } from '@drover/protocol/plain'
import type { Command } from 'commander'
import { action, defineCommand, defineGroup } from '../define-command.ts'
import { UsageError } from '../failure.ts'
import { followToSuccess } from '../follow-operation.ts'
import type { Palette } from '../output/palette.ts'
import { formatRate, parseCount, parseRate } from '../output/sizes.ts'
import { renderFields } from '../output/table.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'

interface TransferFlags extends WaitFlags {
  perHost?: number
  perLink?: number
  bandwidth?: number
  reset?: boolean
}

export function register(program: Command): void {
  const group = defineGroup(program, 'transfer', 'limits of moves: how many at once, and how fast')
  defineCommand(group, 'show', {
    summary: 'show the limits',
    examples: [['drover transfer show', 'those that hold, also where nobody has said anything']],
  }).action(
    action(async ({ output, client }) => {
      const { moves = {} } = await (await client()).policy()
      output.result(moves, () => describeLimits(output.palette, moves))
    }),
  )
  const command = defineCommand(group, 'set', {
    summary: 'set the limits; moves that begin from now on keep to them',
    description: `Sets the limits of moves. Those beyond --per-host or --per-link wait in line, the link with the fewest moves under way first;
drover ops shows their place. Parallel moves of a host share its bandwidth evenly. What is left to send when a container stands
still is not held back. What isn't named is the default again.`,
    examples: [
      ['drover transfer set --bandwidth 100MiB/s', 'for all moves of a host together, each way'],
      ['drover transfer set --per-host 8 --per-link 4', 'moves under way at once'],
      ['drover transfer set --reset', 'the defaults'],
    ],
  })
    .option(
      '--per-host <number>',
      `moves from and to a host at once (default: ${defaultMovesPerHost})`,
      parseCount(1, 256),
    )
    .option(
      '--per-link <number>',
      `moves between two hosts at once (default: ${defaultMovesPerLink})`,
      parseCount(1, 256),
    )
    .option('--bandwidth <rate>', 'of a host, each way, e.g. 100MiB/s (default: no limit)', parseRate)
    .option('--reset', 'back to the defaults')
  addWaitOptions(command).action(
    action(async (session, flags: TransferFlags) => {
      const moves = limitsOf(flags)
      const operation = await (await session.client()).changePolicy({ moves })
      const ended = await followToSuccess(session, operation, flags)
      session.output.result(ended, () => describeLimits(session.output.palette, moves ?? {}))
    }),
  )
}

function limitsOf(flags: TransferFlags): MoveLimits | null {
  const limits: MoveLimits = {
    ...(flags.perHost === undefined ? {} : { perHost: flags.perHost }),
    ...(flags.perLink === undefined ? {} : { perLink: flags.perLink }),
    ...(flags.bandwidth === undefined ? {} : { bandwidthBytesPerS: flags.bandwidth }),
  }
  const says = Object.keys(limits).length > 0
  if (says === (flags.reset === true)) throw new UsageError('say what the limits are to be, or --reset, and not both')
  return says ? limits : null
}

function describeLimits(palette: Palette, { perHost, perLink, bandwidthBytesPerS }: MoveLimits): string {
  return renderFields(palette, [
    ['moves at once', `${perHost ?? defaultMovesPerHost} from and to a host`],
    ['', `${perLink ?? defaultMovesPerLink} between two hosts`],
    [
      'bandwidth',
      bandwidthBytesPerS === undefined ? 'no limit' : `${formatRate(bandwidthBytesPerS)} each way of a host`,
    ],
  ])
}

// `drover pool`: how each pool of hosts is filled, and by how much it may be overcommitted.

import type { Pool } from '@drover/protocol'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { action, defineCommand, defineGroup } from '../define-command.ts'
import { UsageError } from '../failure.ts'
import { followToSuccess } from '../follow-operation.ts'
import { parseName } from '../names.ts'
import { renderTable } from '../output/table.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'

interface PoolFlags extends WaitFlags {
  policy?: 'pack' | 'balance' | 'spread'
  overcommitCpu?: number
  overcommitMemory?: number
  idleReserve?: number
  preemptBelow?: number
  reset?: boolean
}

export function register(program: Command): void {
  const group = defineGroup(program, 'pool', 'how pools of hosts are filled')
  list(group)
  set(group)
}

function list(group: Command): void {
  defineCommand(group, 'ls', {
    summary: 'list pools that have a policy of their own',
    examples: [['drover pool ls', 'all others are packed, and not overcommitted']],
  }).action(
    action(async ({ output, client }) => {
      const { pools } = await (await client()).policy()
      output.result(pools, () =>
        renderTable(
          output.palette,
          [
            { header: 'POOL', value: ([name]) => name },
            { header: 'POLICY', value: ([, pool]) => pool.policy ?? 'pack' },
            { header: 'CPU', align: 'right', value: ([, pool]) => `× ${pool.overcommitCpu ?? 1}` },
            { header: 'MEMORY', align: 'right', value: ([, pool]) => `× ${pool.overcommitMemory ?? 1}` },
            { header: 'IDLE RESERVE', align: 'right', value: ([, pool]) => `${100 * (pool.idleReserve ?? 0)} %` },
            { header: 'PREEMPTS BELOW', align: 'right', value: ([, pool]) => String(pool.preemptBelow ?? '–') },
          ],
          Object.entries(pools),
        ),
      )
    }),
  )
}

function set(group: Command): void {
  const command = defineCommand(group, 'set', {
    summary: 'say how a pool is filled',
    description: `Says how a pool is filled: packed (the fullest host that fits), balanced (the emptiest), or spread (the fewest containers).
With overcommit, what containers ask for may add up to more than there is; what they are measured to use must still fit,
less the idle reserve. With --preempt-below, containers of a lower priority than that may be stopped to make room for a launch
that is more important, when moving others is not enough; they start again by themselves when there is room. Without it only those may be
that say so themselves (preemptible=true). What isn't named is the default again.`,
    examples: [
      ['drover pool set default --policy balance', 'even out the hosts that are in no other pool'],
      ['drover pool set dev --overcommit-cpu 8 --idle-reserve 0.2', 'eight times the cores may be asked for'],
      ['drover pool set batch --preempt-below 0', 'what has a negative priority gives way to what is more important'],
      ['drover pool set dev --reset', 'packed and not overcommitted, as all pools begin'],
    ],
  })
    .argument('<pool>', 'name of the pool', parseName)
    .addOption(new Option('--policy <policy>', 'how it is filled').choices(['pack', 'balance', 'spread']))
    .option('--overcommit-cpu <times>', 'times the cores that may be asked for', parseTimes)
    .option('--overcommit-memory <times>', 'times the memory that may be asked for', parseTimes)
    .option('--idle-reserve <share>', 'share kept free of measured use, e.g. 0.2', parseShare)
    .option('--preempt-below <priority>', 'containers of a lower priority may be stopped for others', parseThreshold)
    .option('--reset', 'back to the default')
  addWaitOptions(command).action(
    action(async (session, name: string, flags: PoolFlags) => {
      const client = await session.client()
      const operation = await client.changePolicy({ pools: { [name]: poolOf(flags) } })
      const ended = await followToSuccess(session, operation, flags)
      session.output.result(ended, () => `pool ${name}: ${ended.progress.message}`)
    }),
  )
}

function poolOf(flags: PoolFlags): Pool | null {
  const pool: Pool = {
    ...(flags.policy === undefined ? {} : { policy: flags.policy }),
    ...(flags.overcommitCpu === undefined ? {} : { overcommitCpu: flags.overcommitCpu }),
    ...(flags.overcommitMemory === undefined ? {} : { overcommitMemory: flags.overcommitMemory }),
    ...(flags.idleReserve === undefined ? {} : { idleReserve: flags.idleReserve }),
    ...(flags.preemptBelow === undefined ? {} : { preemptBelow: flags.preemptBelow }),
  }
  const says = Object.keys(pool).length > 0
  if (says === (flags.reset === true)) throw new UsageError('say what the pool is to be, or --reset, and not both')
  return says ? pool : null
}

const parseTimes = (text: string) => parseBetween(text, 1, 100)
const parseShare = (text: string) => parseBetween(text, 0, 0.9)

function parseThreshold(text: string): number {
  const value = parseBetween(text, -999, 1000)
  if (Number.isInteger(value)) return value
  throw new InvalidArgumentError(`${JSON.stringify(text)} is not a whole number.`)
}

function parseBetween(text: string, least: number, most: number): number {
  const value = Number(text)
  if (text.trim() !== '' && value >= least && value <= most) return value
  throw new InvalidArgumentError(`${JSON.stringify(text)} is not a number from ${least} to ${most}.`)
}

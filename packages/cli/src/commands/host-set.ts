// `drover host set`: what an operator says of a host, by which containers are placed.

import type { HostSetRequest } from '@drover/protocol'
import { type Command, InvalidArgumentError } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { UsageError } from '../failure.ts'
import { followToSuccess } from '../follow-operation.ts'
import { parseName, parsePair } from '../names.ts'
import { parseBytes } from '../output/sizes.ts'
import { gather } from '../scheduling-flags.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'

type Effects = Record<string, 'refuse' | 'avoid'>

interface HostSetFlags extends WaitFlags {
  label?: Record<string, string>
  unlabel?: string[]
  taint?: Effects
  untaint?: string[]
  device?: Record<string, number | null>
  pool?: string
  rack?: string
  zone?: string
  leftovers?: number | null
}

export function register(group: Command): void {
  const command = defineCommand(group, 'set', {
    summary: 'set labels, taints, devices, pool, rack, zone and leftovers of a host',
    description: `Says of a host what containers are placed by: labels that they may require, taints that keep away those which don't
tolerate them (refuse) or that others rather avoid, how many devices it has that containers claim (\`set claim=…\`; they are
counted, not given: \`drover device add\` does that), its pool, and where it stands. What isn't named stays. Nothing moves
by it at once; rebalancing puts right what no longer fits. And how much disk the host may spend on what it keeps of
containers that have moved away, so that less is sent when they come back; whatever is more is dropped within seconds.`,
    examples: [
      ['drover host set a --label disk=ssd --rack r1', 'for launch --require disk=ssd, and groups by rack'],
      ['drover host set b --taint gpu --pool gpu', 'only containers that tolerate gpu, of the pool gpu'],
      ['drover host set c --device gpu=4', 'for launch --set claim=gpu=1'],
      ['drover host set d --leftovers 0', 'keeps nothing of containers that move away, and drops what it has'],
      ['drover host set a --unlabel disk --untaint gpu --pool none', 'takes them away'],
    ],
  })
    .argument('<host>', 'name of the host', parseName)
    .option('-l, --label <KEY=VALUE>', 'a label; repeatable', parsePair)
    .option('--unlabel <key>', 'take a label away; repeatable', gather)
    .option('--taint <KEY[=EFFECT]>', 'a taint: refuse (default) or avoid; repeatable', parseTaint)
    .option('--untaint <key>', 'take a taint away; repeatable', gather)
    .option('--device <KIND=NUMBER>', 'so many of this kind; 0: none any more; repeatable', parseDevices)
    .option('--pool <name>', 'its pool; none: the default one', parseName)
    .option('--rack <name>', 'its rack; none: not known', parseName)
    .option('--zone <name>', 'its zone; none: not known', parseName)
    .option(
      '--leftovers <bytes>',
      'keep so much of containers that have left; default: a tenth of the disk',
      parseLeftovers,
    )
  addWaitOptions(command).action(
    action(async (session, name: string, flags: HostSetFlags) => {
      const client = await session.client()
      const operation = await followToSuccess(session, await client.setHost(name, requestOf(flags)), flags)
      session.output.result(operation, () => `host ${name}: ${operation.progress.message}`)
    }),
  )
}

function requestOf(flags: HostSetFlags): HostSetRequest {
  const away = (keys: string[] = []) => Object.fromEntries(keys.map((key) => [key, null]))
  const place = (value: string | undefined) => (value === 'none' ? null : value)
  const request: HostSetRequest = {
    ...(flags.label || flags.unlabel ? { labels: { ...away(flags.unlabel), ...flags.label } } : {}),
    ...(flags.taint || flags.untaint ? { taints: { ...away(flags.untaint), ...flags.taint } } : {}),
    ...(flags.device === undefined ? {} : { deviceCounts: flags.device }),
    ...(flags.pool === undefined ? {} : { pool: place(flags.pool) as string | null }),
    ...(flags.rack === undefined ? {} : { rack: place(flags.rack) as string | null }),
    ...(flags.zone === undefined ? {} : { zone: place(flags.zone) as string | null }),
    ...(flags.leftovers === undefined ? {} : { leftoverBytes: flags.leftovers }),
  }
  if (Object.keys(request).length === 0)
    throw new UsageError('nothing to set: name a label, taint, device, pool, rack, zone or leftovers')
  return request
}

function parseDevices(text: string, before: Record<string, number | null> = {}): Record<string, number | null> {
  const [, kind, count] = /^([^=]+)=(\d{1,6})$/.exec(text) ?? []
  if (kind !== undefined) return { ...before, [kind]: Number(count) || null }
  throw new InvalidArgumentError(`${JSON.stringify(text)} is not KIND=NUMBER.`)
}

function parseTaint(text: string, before: Effects = {}): Effects {
  const [key = '', effect = 'refuse'] = text.split('=', 2)
  if (key !== '' && (effect === 'refuse' || effect === 'avoid')) return { ...before, [key]: effect }
  throw new InvalidArgumentError(`${JSON.stringify(text)} is not a taint: use KEY, KEY=refuse or KEY=avoid.`)
}

function parseLeftovers(text: string): number | null {
  return text === 'default' ? null : parseBytes(text)
}

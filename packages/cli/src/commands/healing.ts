// `drover healing`: whether containers of lost hosts are started elsewhere by themselves, and who waits for what.

import type { HealingSettings } from '@drover/protocol'
import { leaseMs, leastLostAfterMs } from '@drover/protocol/plain'
import { type Command, InvalidArgumentError } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { followToSuccess } from '../follow-operation.ts'
import { parseDuration } from '../output/durations.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'

interface HealingFlags extends WaitFlags {
  lostAfter?: number
}

const usualLostAfterS = 60

export function register(program: Command): void {
  const command = defineCommand(program, 'healing', {
    summary: 'show or change when containers of lost hosts are started elsewhere',
    description: `A host that is not heard for --lost-after (usual: 1m, at least ${leastLostAfterMs / 1000} s) is lost. Its containers with heal=fresh (see launch
and set) are then started elsewhere, from their images. They never run twice: an engine that has no word of the leader for
${leaseMs / 1000} s freezes them by itself. All others wait for their host, which has their disks. While more than half of the hosts
are silent none counts as lost. Without an argument it says how things are.`,
    examples: [
      ['drover healing', 'settings, lost hosts, and who waits for what'],
      ['drover healing on --lost-after 5m', 'hosts that reboot are waited for'],
      ['drover healing off', 'only by drover host evacuate or drover host lost'],
    ],
  })
    .argument('[on|off]', 'by itself, or only when asked', parseMode)
    .option('--lost-after <duration>', 'silence after which a host is lost, e.g. 5m', parseDuration)
  addWaitOptions(command).action(
    action(async (session, mode: 'on' | 'off' | undefined, flags: HealingFlags) => {
      const client = await session.client()
      if (mode !== undefined || flags.lostAfter !== undefined) {
        const lostAfterS = flags.lostAfter === undefined ? {} : { lostAfterS: Math.round(flags.lostAfter / 1000) }
        const change = { healing: { ...(mode === undefined ? {} : { mode }), ...lostAfterS } }
        const ended = await followToSuccess(session, await client.changePolicy(change), flags)
        return session.output.result(ended, () => ended.progress.message)
      }
      const [{ healing = {} }, hosts, containers] = [
        await client.policy(),
        await client.hosts(),
        await client.containers(),
      ]
      const lost = hosts.filter(({ status }) => status === 'lost').map(({ name }) => name)
      const waiting = containers
        .filter(({ host }) => lost.includes(host))
        .map(({ name, host, message }) => ({ name, host, message }))
      session.output.result({ settings: healing, lost, waiting }, () =>
        [
          describe(healing),
          ...lost.map((name) => `${session.output.palette.red('✗')} host ${name} is lost`),
          ...waiting.map(({ name, message }) => `  ${name}: ${message ?? 'it is to be started elsewhere'}`),
        ].join('\n'),
      )
    }),
  )
}

const describe = ({ mode = 'on', lostAfterS = usualLostAfterS }: HealingSettings): string =>
  `healing is ${mode}; a host is lost after ${lostAfterS} s`

function parseMode(text: string): 'on' | 'off' {
  if (text === 'on' || text === 'off') return text
  throw new InvalidArgumentError(`${JSON.stringify(text)} is neither on nor off.`)
}

// `drover host lost`: says of a silent host that it is dead, so that what may be is started elsewhere at once.

import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { UsageError } from '../failure.ts'
import { followToSuccess } from '../follow-operation.ts'
import { parseName } from '../names.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'

interface LostFlags extends WaitFlags {
  iAmSure?: boolean
  fresh?: boolean
}

export function register(group: Command): void {
  const command = defineCommand(group, 'lost', {
    summary: 'say that a silent host is dead for sure',
    description: `A host that stays silent counts as lost by itself, once it is certain that its engine has frozen what may be started
elsewhere (see \`drover healing\`). This is for a host that you know to be dead: switched off, burnt, taken out. Its containers with
heal=fresh begin again elsewhere at once; with --fresh all that ran there do, from their images: what was on their disks stays there and
is removed when the host comes back. If the host lives after all, those containers run twice until it is reached.`,
    examples: [
      ['drover host lost a --i-am-sure', 'a is switched off: what has heal=fresh begins again elsewhere'],
      ['drover host lost a --i-am-sure --fresh', 'its disks are gone too: all of its containers begin again'],
    ],
  })
    .argument('<host>', 'name of the host', parseName)
    .option('--i-am-sure', 'nothing runs on that host any more')
    .option('--fresh', 'also containers that would wait for their disk begin again, from their images')
  addWaitOptions(command).action(
    action(async (session, name: string, flags: LostFlags) => {
      if (!flags.iAmSure)
        throw new UsageError('only with --i-am-sure: a host that lives would run its containers as well')
      const client = await session.client()
      const request = { sure: true, ...(flags.fresh === undefined ? {} : { fresh: flags.fresh }) } as const
      const operation = await followToSuccess(session, await client.hostLost(name, request), flags)
      session.output.result(operation, () => `host ${name} counts as lost`)
    }),
  )
}

// `drover rename`: another name for a container, as it runs.

import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { followToSuccess } from '../follow-operation.ts'
import { parseName } from '../names.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'

export function register(program: Command): void {
  const command = defineCommand(program, 'rename', {
    summary: 'give a container another name, as it runs',
    description: `Gives a container another name. It runs on, with its id, addresses, disk and snapshots. The name becomes its hostname, and
replaces the old one in its /etc/hostname and /etc/hosts; what was changed there by hand stays.`,
    examples: [['drover rename web-1 shop', 'web-1 is named shop from now on']],
  })
    .argument('<container>', 'name of the container', parseName)
    .argument('<new>', 'its new name', parseName)
  addWaitOptions(command).action(
    action(async (session, name: string, other: string, flags: WaitFlags) => {
      const client = await session.client()
      const operation = await followToSuccess(session, await client.rename(name, { name: other }), flags)
      session.output.result(operation, () => `${name} is named ${other} now`)
    }),
  )
}

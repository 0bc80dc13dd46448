// `drover snapshot delete`: removes snapshots.

import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { followMany } from '../follow-many.ts'
import { parseName, parseNames } from '../names.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'

export function register(group: Command): void {
  const command = defineCommand(group, 'delete', {
    summary: 'delete snapshots of a container',
    examples: [['drover snapshot delete web-1 before-upgrade', 'its space is free soon after']],
  })
    .alias('rm')
    .argument('<container>', 'name of the container', parseName)
    .argument('<snapshot...>', 'names of snapshots', parseNames)
  addWaitOptions(command).action(
    action(async (session, container: string, snapshots: string[], flags: WaitFlags) => {
      const client = await session.client()
      return followMany(session, snapshots, flags, {
        doing: 'deleting',
        done: 'deleted',
        begin: (snapshot) => client.deleteSnapshot(container, snapshot),
      })
    }),
  )
}

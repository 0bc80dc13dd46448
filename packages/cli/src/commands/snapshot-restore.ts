// `drover snapshot restore`: a container as it was.

import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { followToSuccess } from '../follow-operation.ts'
import { parseName } from '../names.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'

interface RestoreFlags extends WaitFlags {
  start?: boolean
}

export function register(group: Command): void {
  const command = defineCommand(group, 'restore', {
    summary: 'put a container back to a snapshot',
    description: `The disk becomes exactly what it was; what was written since is lost (take a snapshot first to keep it). The container must
be stopped; with --start one that runs is stopped, put back and started again. From a snapshot with memory, --start lets its
processes go on where they were.`,
    examples: [
      ['drover snapshot restore web-1 before-upgrade', 'it is stopped, and stays so'],
      ['drover snapshot restore web-1 before-upgrade --start', 'and runs from there'],
    ],
  })
    .argument('<container>', 'name of the container', parseName)
    .argument('<snapshot>', 'name of the snapshot', parseName)
    .option('--start', 'stop it first if it runs, and start it afterwards')
  addWaitOptions(command).action(
    action(async (session, container: string, snapshot: string, flags: RestoreFlags) => {
      const client = await session.client()
      const begun = await client.restoreSnapshot(container, snapshot, flags.start ? { start: true } : {})
      const operation = await followToSuccess(session, begun, flags)
      session.output.result(operation, () =>
        operation.state === 'running'
          ? `putting ${container} back to ${snapshot}, operation ${operation.id}`
          : `${container} is as it was at ${snapshot}`,
      )
    }),
  )
}

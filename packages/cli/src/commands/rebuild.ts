// `drover rebuild`: the same container on a fresh disk. A person at a terminal is asked first, since nothing brings the old one back.

import type { Command } from 'commander'
import { confirm } from '../confirm.ts'
import { action, defineCommand } from '../define-command.ts'
import { followToSuccess } from '../follow-operation.ts'
import { parseName } from '../names.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'

export function register(program: Command): void {
  const command = defineCommand(program, 'rebuild', {
    summary: 'give a container a fresh disk, of its image or of another',
    description: `Gives a container a fresh disk and leaves it running or stopped as it was: all that was written in it is gone. Its name, addresses,
MAC, uids, machine id, settings and devices stay. It must be stopped and without snapshots; --force ends one that runs at once.`,
    examples: [
      ['drover rebuild ci', 'as its image is now'],
      ['drover rebuild ci bookworm --force --yes', 'of another image, although it runs, and without a question'],
    ],
  })
    .argument('<container>', 'name of the container', parseName)
    .argument('[image]', 'image of the new disk; default: the name of its own', parseName)
    .option('-f, --force', 'also when it runs: its processes are killed')
    .option('-y, --yes', 'do not ask')
  addWaitOptions(command).action(
    action(
      async (session, name: string, image: string | undefined, flags: WaitFlags & { force?: true; yes?: true }) => {
        if (!flags.yes && !(await confirm(session, `remove all that was written in ${name}?`))) return 1
        const client = await session.client()
        const begun = await client.rebuild(name, {
          ...(image === undefined ? {} : { image }),
          ...(flags.force ? { force: true } : {}),
        })
        const operation = await followToSuccess(session, begun, flags)
        session.output.result(operation, () =>
          operation.state === 'running' ? `rebuilding ${name}, operation ${operation.id}` : `${name} has a fresh disk`,
        )
        return 0
      },
    ),
  )
}

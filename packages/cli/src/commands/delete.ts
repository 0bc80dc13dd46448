// `drover delete`: removes containers with their disks. A person at a terminal is asked first, since nothing brings them back.

import type { Command } from 'commander'
import { confirm } from '../confirm.ts'
import { action, defineCommand } from '../define-command.ts'
import { followMany } from '../follow-many.ts'
import { parseNames } from '../names.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'

export function register(program: Command): void {
  const command = defineCommand(program, 'delete', {
    summary: 'remove containers with all their data',
    examples: [
      ['drover delete web-1', 'asks first when at a terminal'],
      ['drover delete web-1 web-2 --yes', 'does not ask'],
    ],
  })
    .alias('rm')
    .argument('<container...>', 'names of containers', parseNames)
    .option('-y, --yes', 'do not ask')
  addWaitOptions(command).action(
    action(async (session, names: string[], flags: WaitFlags & { yes?: boolean }) => {
      const what = names.length === 1 ? `${names[0]}` : `${names.length} containers (${names.join(', ')})`
      if (!flags.yes && !(await confirm(session, `delete ${what} with all data?`))) return 1
      const client = await session.client()
      return followMany(session, names, flags, {
        doing: 'deleting',
        done: 'deleted',
        begin: (name) => client.delete(name),
      })
    }),
  )
}

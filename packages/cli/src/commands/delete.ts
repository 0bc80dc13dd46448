// `drover delete`: removes containers with their disks. A person at a terminal is asked first, since nothing brings them back.

import { createInterface } from 'node:readline/promises'
import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { followMany } from '../follow-many.ts'
import { parseNames } from '../names.ts'
import type { Session } from '../session.ts'
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
      if (!flags.yes && !(await confirm(session, names))) return 1
      const client = await session.client()
      return followMany(session, names, flags, {
        doing: 'deleting',
        done: 'deleted',
        begin: (name) => client.delete(name),
      })
    }),
  )
}

/** Without a terminal there is nobody to ask: a script means what it says. */
async function confirm(session: Session, names: readonly string[]): Promise<boolean> {
  const { stdin, stderr } = session.terminal
  if (session.output.json || !stdin.isTTY || !stderr.isTTY) return true
  const what = names.length === 1 ? `${names[0]}` : `${names.length} containers (${names.join(', ')})`
  const questions = createInterface({ input: stdin, output: stderr })
  try {
    const answer = await questions.question(`delete ${what} with all data? [y/N] `)
    return /^y(es)?$/i.test(answer.trim())
  } finally {
    questions.close()
  }
}

// `drover shell`: a login shell in a container, on a real terminal.

import type { ExecUser } from '@drover/protocol'
import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { UsageError } from '../failure.ts'
import { parseName } from '../names.ts'
import { runInside } from '../run-inside.ts'
import { parseExecUser } from './exec.ts'

/** Whatever the image has, the better one first. bash also keeps the container movable while it is open; other shells on a
 * terminal make CRIU refuse (a false `ctty inheritance`). */
const loginShell = ['/bin/sh', '-c', 'command -v bash >/dev/null 2>&1 && exec bash -l; exec sh -l']

export function register(program: Command): void {
  defineCommand(program, 'shell', {
    summary: 'open a shell in a container',
    description:
      'Opens a login shell in a container, bash if the image has it, on a terminal of its own; when stdin is none, the shell reads what comes there, to its end. Ends with its exit code.',
    examples: [
      ['drover shell web-1', 'as root'],
      ['drover shell web-1 --user 1000', 'as another user'],
      ['drover shell web-1 < setup.sh', 'what is in a file'],
    ],
    json: 'not for a terminal: says which command to use instead',
  })
    .argument('<container>', 'name of the container', parseName)
    .option('-u, --user <user>', 'user inside by name, or numeric with group (default: 0:0)', parseExecUser)
    .action(
      action(async (session, name: string, flags: { user?: ExecUser }) => {
        if (session.output.json) {
          throw new UsageError('a shell is for a person', `for programs: drover exec ${name} --json -- COMMAND`)
        }
        const request = {
          command: loginShell,
          terminal: session.terminal.stdin.isTTY === true,
          environment: {},
          directory: null,
          user: flags.user ?? null,
        }
        return runInside(session, name, request)
      }),
    )
}

// Runs one command line to its end and gives the exit code: 0 done, 1 it could not be done, 2 wrong usage, 124 a deadline
// passed, 130 interrupted; exec and shell pass on the exit code of what ran inside.

import { CommanderError } from 'commander'
import { exitCodeOf } from './define-command.ts'
import { exitCodes, reportFailure } from './failure.ts'
import { createProgram } from './program.ts'
import type { Terminal } from './terminal.ts'

/** `argv` without node and script. */
export async function main(argv: readonly string[], terminal: Terminal): Promise<number> {
  const program = await createProgram(terminal, argv[0])
  try {
    await program.parseAsync([...argv], { from: 'user' })
    return exitCodeOf(program)
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? exitCodes.ok : exitCodes.usage
    return reportFailure(terminal, thrown, asksForJson(argv))
  }
}

/** What comes after `--` belongs to the command inside. */
function asksForJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--')
  return argv.slice(0, end === -1 ? argv.length : end).includes('--json')
}

// The command line as a whole. Nothing here knows what a command does.

import { version } from '@drover/protocol/plain'
import { Command } from 'commander'
import { commandFiles } from './commands/index.ts'
import { attachTerminal } from './define-command.ts'
import type { Terminal } from './terminal.ts'

/** With the command that `word`, the first of a command line, names; with all of them when it names none. */
export async function createProgram(terminal: Terminal, word?: string): Promise<Command> {
  const files = await commandFiles(word)
  const program = new Command('drover')
    .description('Linux system containers on a cluster of hosts: packed densely, moved live.')
    .version(version, '-V, --version', 'print the version of this command')
    .helpCommand('help [command]', 'show help for a command')
    .showSuggestionAfterError()
    .enablePositionalOptions()
    .addHelpText('after', help)
  program.configureHelp({ sortSubcommands: false, showGlobalOptions: false })
  for (const { register } of files) register(program)
  for (const each of withDescendants(program)) {
    each
      .exitOverride()
      .configureOutput({
        writeOut: (text) => void terminal.stdout.write(text),
        writeErr: (text) => void terminal.stderr.write(text),
        getOutHelpWidth: () => terminal.stdout.columns || 100,
        getErrHelpWidth: () => terminal.stderr.columns || 100,
        outputError: (text, write) => write(`drover: ${shortenComplaint(text)}`),
      })
      .showHelpAfterError(hintOf(each))
  }
  attachTerminal(program, terminal)
  return program
}

const help = `
Examples:
  drover up                        start a cluster on this machine
  drover launch web --count 3      start three containers
  drover ls                        see them and where they run
  drover move web-1                move one live to the host that fits best
  drover host evacuate a           empty host a, live

Every command has --help with examples, and --json for programs.`

/** A command's own option is easily taken for one of ours. */
const hintOf = (command: Command) =>
  command.registeredArguments.some((each) => each.name() === 'command')
    ? `what is to run comes after --; see: ${pathOf(command)} --help`
    : `see: ${pathOf(command)} --help`

/** Without commander's preambles: the parsers' own messages name the value and the rule. */
function shortenComplaint(text: string): string {
  return text
    .replace(/^error: /, '')
    .replace(/^command-argument value '.*?' is invalid for argument '(.*?)'\. (?!Allowed)/s, '')
    .replace(/^option '(?:-\w, )?(--[\w-]+).*?' argument '.*?' is invalid\. (?!Allowed)/s, '$1: ')
}

/** A command and all that are below it. */
export function withDescendants(command: Command): Command[] {
  return [command, ...command.commands.flatMap((each) => withDescendants(each as Command))]
}

/** `drover host ls` */
export function pathOf(command: Command): string {
  return command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name()
}

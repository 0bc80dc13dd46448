// How every command is declared: summary, examples, --json, and an action that gets a Session and may give an exit code.
// What all commands have in common is here once, so that a command's file says only what is its own.

import type { Command } from 'commander'
import { Session } from './session.ts'
import type { Terminal } from './terminal.ts'

export interface CommandDescription {
  summary: string
  /** More than the summary, for --help. */
  description?: string
  /** [command line, what it does] */
  examples: readonly (readonly [string, string])[]
  /** What --json prints; default: one JSON document. */
  json?: string
}

export function defineCommand(parent: Command, name: string, description: CommandDescription): Command {
  const command = parent
    .command(name)
    .summary(description.summary)
    .description(description.description ?? `${capitalised(description.summary)}.`)
    .option('--json', description.json ?? 'print one JSON document on stdout and nothing else')
    .addHelpText('after', () => `\nExamples:\n${renderExamples(description.examples)}`)
  examples.set(command, description.examples)
  return command
}

const examples = new WeakMap<Command, CommandDescription['examples']>()

export function examplesOf(command: Command): CommandDescription['examples'] {
  return examples.get(command) ?? []
}

function renderExamples(list: CommandDescription['examples']): string {
  const width = Math.max(...list.map(([line]) => line.length))
  return list.map(([line, meaning]) => `  ${line.padEnd(width)}   ${meaning}`).join('\n')
}

/** A command that only holds others: `drover host …`. */
export function defineGroup(parent: Command, name: string, summary: string): Command {
  return parent
    .command(name)
    .summary(summary)
    .description(`${capitalised(summary)}.`)
}

/** An action; a number that it returns is the exit code. Arguments come before the session, as commander gives them. */
export function action<Arguments extends unknown[]>(
  handler: (session: Session, ...args: Arguments) => Promise<unknown>,
): (this: Command, ...args: unknown[]) => Promise<void> {
  return async function (this: Command, ...args: unknown[]) {
    const root = rootOf(this)
    const session = new Session(terminalOf(root), this.opts().json === true)
    try {
      // Commander appends the options and the command itself; options stay, as the last argument.
      const result = await handler(session, ...(args.slice(0, -1) as Arguments))
      if (typeof result === 'number') exitCodesOf.set(root, result)
    } finally {
      session.output.statusLine.clear()
    }
  }
}

const terminals = new WeakMap<Command, Terminal>()
const exitCodesOf = new WeakMap<Command, number>()

export function attachTerminal(root: Command, terminal: Terminal): void {
  terminals.set(root, terminal)
}

export function exitCodeOf(root: Command): number {
  return exitCodesOf.get(root) ?? 0
}

function terminalOf(root: Command): Terminal {
  const terminal = terminals.get(root)
  if (!terminal) throw new Error('this program has no terminal: make it with createProgram')
  return terminal
}

function rootOf(command: Command): Command {
  let root = command
  while (root.parent) root = root.parent
  return root
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

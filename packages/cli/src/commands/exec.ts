// `drover exec`: runs a command in a container, with stdin piped in and its exit code passed on.

import type { ExecUser } from '@drover/protocol'
import { type Command, InvalidArgumentError } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { parseName, parsePair } from '../names.ts'
import { captureInside, runInside } from '../run-inside.ts'

interface ExecFlags {
  terminal?: boolean
  env?: Record<string, string>
  directory?: string
  user?: ExecUser
}

export function register(program: Command): void {
  defineCommand(program, 'exec', {
    summary: 'run a command in a container',
    description: 'Runs a command in a container. Its stdin, stdout, stderr and exit code are those of drover.',
    examples: [
      ['drover exec web-1 -- uname -a', 'what comes after -- is the command'],
      ['drover exec web-1 -- tar -x < site.tar', 'stdin goes inside'],
      ['drover exec -t web-1 -- top', 'with a terminal'],
      ['drover exec web-1 --json -- id', 'for programs: {exitCode, stdout, stderr}'],
    ],
    json: 'print one JSON document {exitCode, stdout, stderr} on stdout; the exit code is passed on as well',
  })
    .argument('<container>', 'name of the container', parseName)
    .argument('<command...>', 'the command and its arguments, after --')
    .option('-t, --terminal', 'give it a terminal')
    .option('-e, --env <KEY=VALUE>', 'environment of the command; repeatable', parsePair)
    .option('-w, --directory <path>', 'working directory inside (default: /root, else /)')
    .option('-u, --user <user>', 'user inside by name, or numeric with group (default: 0:0)', parseExecUser)
    .passThroughOptions(false)
    .action(
      action(async (session, name: string, command: string[], flags: ExecFlags) => {
        const request = {
          command,
          terminal: flags.terminal ?? false,
          environment: flags.env ?? {},
          directory: flags.directory ?? null,
          user: flags.user ?? null,
        }
        if (!session.output.json) return runInside(session, name, request)
        const result = await captureInside(session, name, request)
        session.output.document(result)
        return result.exitCode
      }),
    )
}

/** A name that the container's own /etc/passwd has, or ids. */
export function parseExecUser(text: string): ExecUser {
  return /^[a-z_][a-z0-9_.-]{0,254}\$?$/i.test(text) ? { name: text } : parseUser(text)
}

/** `1000` or `1000:100`; a user's own group by default. */
export function parseUser(text: string): { uid: number; gid: number } {
  const match = /^(\d{1,5})(?::(\d{1,5}))?$/.exec(text)
  const uid = Number(match?.[1])
  const gid = Number(match?.[2] ?? match?.[1])
  if (!match || uid > 65_535 || gid > 65_535) {
    throw new InvalidArgumentError(
      `${JSON.stringify(text)} is not a numeric user: write e.g. 1000 or 1000:100, each up to 65535.`,
    )
  }
  return { uid, gid }
}

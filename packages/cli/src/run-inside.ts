// A command in a container, joined to this terminal: what exec and shell have in common. With a terminal on our side it is put
// into raw mode for that time, so that every key goes inside, and the inner terminal follows the size of ours.

import { constants } from 'node:os'
import { PassThrough } from 'node:stream'
import type { ExecRequest } from '@drover/protocol'
import { exitCodes } from './failure.ts'
import type { Session } from './session.ts'
import type { InputStream, Terminal } from './terminal.ts'

export interface InsideRequest {
  command: string[]
  terminal: boolean
  environment: Record<string, string>
  directory: string | null
  user: ExecRequest['user']
}

/** A size for programs inside when ours is unknown. */
const usualSize = { columns: 80, rows: 24 }

/** Resolves with the exit code of the command inside. */
export async function runInside(session: Session, name: string, request: InsideRequest): Promise<number> {
  const { terminal } = session
  const client = await session.client()
  const raw = request.terminal && terminal.stdin.isTTY ? enterRawMode(terminal.stdin) : null
  const undo: (() => void)[] = []
  try {
    const inside = await client.exec(
      name,
      {
        ...request,
        terminal: request.terminal ? sizeOf(terminal) : null,
        environment: request.terminal
          ? { TERM: terminal.environment.TERM ?? 'xterm', ...request.environment }
          : request.environment,
      },
      { stdin: terminal.stdin, stdout: terminal.stdout, stderr: terminal.stderr },
    )
    if (request.terminal) {
      undo.push(
        terminal.onSignal('SIGWINCH', () => {
          const { columns, rows } = sizeOf(terminal)
          inside.resize(columns, rows)
        }),
      )
    } else undo.push(...passSignals(terminal, inside.kill))
    return await inside.exitCode
  } finally {
    for (const each of undo) each()
    raw?.()
  }
}

/** What is written goes into memory and not to the terminal: for --json. */
export async function captureInside(session: Session, name: string, request: InsideRequest) {
  const client = await session.client()
  const stdout = new PassThrough()
  const stderr = new PassThrough()
  const texts = Promise.all([collect(stdout), collect(stderr)])
  const inside = await client.exec(
    name,
    { ...request, terminal: null },
    { stdin: session.terminal.stdin, stdout, stderr },
  )
  const exitCode = await inside.exitCode.finally(() => {
    stdout.end()
    stderr.end()
  })
  const [out, err] = await texts
  return { exitCode, stdout: out, stderr: err }
}

async function collect(stream: PassThrough): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}

export function sizeOf(terminal: Terminal): { columns: number; rows: number } {
  const { columns, rows } = terminal.stdout
  return { columns: columns || usualSize.columns, rows: rows || usualSize.rows }
}

export function enterRawMode(stdin: InputStream): () => void {
  stdin.setRawMode?.(true)
  return () => void stdin.setRawMode?.(false)
}

/** The first Ctrl-C goes to the command inside; who presses it again means us. */
function passSignals(terminal: Terminal, kill: (signal: number) => void): (() => void)[] {
  let interrupts = 0
  return [
    terminal.onSignal('SIGINT', () => {
      if (interrupts++ > 0) process.exit(exitCodes.interrupted)
      kill(constants.signals.SIGINT)
    }),
    terminal.onSignal('SIGTERM', () => kill(constants.signals.SIGTERM)),
  ]
}

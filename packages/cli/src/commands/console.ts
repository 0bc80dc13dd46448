// `drover console`: a container's console on this terminal, over live moves and reboots, until it is left by its keys.

import { PassThrough } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import type { DroverClient } from '@drover/client'
import { DroverError } from '@drover/protocol/plain'
import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { DetachFilter, parseDetachKeys, usualDetachKeys } from '../detach-keys.ts'
import { UsageError } from '../failure.ts'
import { parseName } from '../names.ts'
import { enterRawMode, sizeOf } from '../run-inside.ts'
import type { Session } from '../session.ts'

/** How long a container may be on its way, or away with its host, before the console gives up. */
const awayMs = 120_000
const lookAgainMs = 300
/** An attachment that ends sooner doesn't count as one. */
const shortestMs = 2_000

export function register(program: Command): void {
  defineCommand(program, 'console', {
    summary: 'attach to the console of a container',
    description: `Shows what the container's init writes, and a login as root on the console's terminal. Several may be attached: all see the same, and
each may type. Leave it with ctrl-a q (or --detach-keys): the login stays as it is for who attaches next, for an hour. It goes on over a reboot
and a live move, though with a new login: the terminal itself can't move. What init writes is in drover logs, too.`,
    examples: [
      ['drover console web-1', 'ctrl-a q leaves it'],
      ['drover console web-1 --detach-keys ctrl-p,ctrl-q', 'other keys'],
    ],
    json: 'not for a terminal: says which command to use instead',
  })
    .argument('<container>', 'name of the container', parseName)
    .option('--detach-keys <keys>', `keys that leave it (default: ${usualDetachKeys})`, parseDetachKeys)
    .action(
      action(async (session, name: string, flags: { detachKeys?: Buffer }) => {
        if (session.output.json)
          throw new UsageError('a console is for a person', `for programs: drover logs ${name} -f --json`)
        return attach(session, name, flags.detachKeys ?? parseDetachKeys(usualDetachKeys))
      }),
    )
}

async function attach(session: Session, name: string, keys: Buffer): Promise<number> {
  const { terminal } = session
  const client = await session.client()
  const left = new AbortController()
  const raw = terminal.stdin.isTTY ? enterRawMode(terminal.stdin) : null
  const typed = new DetachFilter(keys, () => left.abort())
  terminal.stdin.pipe(typed, { end: false })
  const say = (text: string) => terminal.stderr.write(`\r\n[${text}]\r\n`)
  const undo = terminal.onSignal('SIGTERM', () => left.abort())
  try {
    let host = (await client.container(name)).host
    for (let goodUntil = performance.now(); ; ) {
      const begun = performance.now()
      const broke = await once(session, client, name, typed, left)
      if (left.signal.aborted) break
      const now = performance.now()
      if (now - begun > shortestMs) goodUntil = now
      const found = await whereItRuns(client, name, left.signal, goodUntil + awayMs)
      if (left.signal.aborted) break
      if (found === null) {
        say(`${name} has stopped`)
        return 0
      }
      if (broke === null) throw new DroverError('ENGINE_FAILED', `console of ${name}: its login ends at once`)
      if (now > goodUntil + awayMs) throw broke
      say(found === host ? `${name}: attached again` : `${name} is on host ${found} now: attached again`)
      host = found
    }
    say(`left the console of ${name}`)
    return 0
  } finally {
    undo()
    terminal.stdin.unpipe(typed)
    terminal.stdin.pause()
    raw?.()
  }
}

/** Until this attachment ends; null: because its login would not stay. */
async function once(
  session: Session,
  client: DroverClient,
  name: string,
  typed: DetachFilter,
  left: AbortController,
): Promise<DroverError | null> {
  const { terminal } = session
  const stdin = typed.pipe(new PassThrough(), { end: false })
  let undo = () => {}
  try {
    const inside = await client.exec(
      name,
      { console: true, command: ['login'], terminal: sizeOf(terminal), environment: {}, directory: null, user: null },
      { stdin, stdout: terminal.stdout, stderr: terminal.stderr, signal: left.signal },
    )
    undo = terminal.onSignal('SIGWINCH', () => {
      const { columns, rows } = sizeOf(terminal)
      inside.resize(columns, rows)
    })
    await inside.exitCode
    return null
  } catch (thrown) {
    return DroverError.from(thrown)
  } finally {
    undo()
    typed.unpipe(stdin)
    stdin.destroy()
  }
}

/** The host; null: it stopped, and so has nothing to attach to. */
async function whereItRuns(
  client: DroverClient,
  name: string,
  left: AbortSignal,
  until: number,
): Promise<string | null> {
  while (!left.aborted) {
    const container = await client.container(name).catch((thrown) => {
      if (DroverError.from(thrown).code === 'CONTAINER_NOT_FOUND') throw thrown
      return null
    })
    if (container?.state === 'running') {
      // Between the end of the one and the next there is always a pause: it may not be known yet that it has gone.
      await delay(lookAgainMs, undefined, { signal: left }).catch(() => {})
      return container.host
    }
    if (container && container.state !== 'migrating' && container.state !== 'unknown' && container.state !== 'pending')
      return null
    if (performance.now() > until) {
      throw new DroverError('TIMED_OUT', `console of ${name}: it is ${container?.state ?? 'unknown'}, for too long`)
    }
    await delay(lookAgainMs, undefined, { signal: left }).catch(() => {})
  }
  return null
}

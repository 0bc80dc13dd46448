// `drover events`: what happened lately in the cluster, and with -f what happens.

import type { ClusterEvent } from '@drover/protocol'
import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { Interrupted } from '../failure.ts'
import { formatTime } from '../output/durations.ts'
import type { Palette } from '../output/palette.ts'
import { parseCount } from '../output/sizes.ts'
import type { Session } from '../session.ts'

interface EventFlags {
  follow?: boolean
  tail?: number
  operation?: string
}

/** The past comes in one go when the connection opens; this much silence is its end. */
const quietMs = 400

export function register(program: Command): void {
  defineCommand(program, 'events', {
    summary: 'show what happened, or with -f what happens',
    examples: [
      ['drover events', 'what the controllers remember, about 1,000 events'],
      ['drover events -f', 'the last ten, then everything that happens'],
      ['drover events -f --json', 'one JSON line per event'],
    ],
    json: 'print one JSON line per event on stdout and nothing else',
  })
    .option('-f, --follow', 'go on with what happens until Ctrl-C')
    .option('-n, --tail <number>', 'start with the last this many (default: all; 10 with -f)', parseCount(0, 100_000))
    .option('--operation <id>', 'only those of this operation')
    .action(action(showEvents))
}

async function showEvents(session: Session, flags: EventFlags): Promise<void> {
  const client = await session.client()
  const stop = new AbortController()
  const off = session.terminal.onSignal('SIGINT', () => stop.abort(new Interrupted()))
  const filter = flags.operation === undefined ? {} : { operation: flags.operation }
  const events = client.events({ after: 0, signal: stop.signal, ...filter })
  const print = (event: ClusterEvent) => {
    if (session.output.json) session.output.jsonLine(event)
    else session.output.line(describeEvent(session.output.palette, event))
  }
  try {
    const past = await readPast(events, stop)
    const tail = flags.tail ?? (flags.follow ? 10 : past.events.length)
    for (const event of tail === 0 ? [] : past.events.slice(-tail)) print(event)
    if (!flags.follow) return
    for (let next = await past.next; !next.done; next = await events.next()) print(next.value)
  } finally {
    stop.abort()
    off()
  }
}

/** The events up to now, and the promise of the one after them. */
async function readPast(source: AsyncGenerator<ClusterEvent>, stop: AbortController) {
  const events: ClusterEvent[] = []
  const stopped = new Promise<null>((resolve) => {
    stop.signal.addEventListener('abort', () => resolve(null), { once: true })
  })
  let patienceMs = quietMs * 5
  for (;;) {
    const next = source.next()
    next.catch(() => {})
    let timer: NodeJS.Timeout | undefined
    const quiet = new Promise<null>((resolve) => {
      timer = setTimeout(resolve, patienceMs, null)
    })
    const result = await Promise.race([next, quiet, stopped])
    clearTimeout(timer)
    if (result === null || result.done) return { events, next }
    events.push(result.value)
    patienceMs = quietMs
  }
}

export function describeEvent(palette: Palette, event: ClusterEvent): string {
  return `${palette.dim(formatTime(event.atMs))}  ${paintKind(palette, event.kind).padEnd(22)}  ${event.message}`
}

function paintKind(palette: Palette, kind: string): string {
  const padded = kind.padEnd(22)
  if (/failed|aborted|silent/.test(kind)) return palette.red(padded)
  if (/running|done|committed|moved|joined/.test(kind)) return palette.green(padded)
  return palette.cyan(padded)
}

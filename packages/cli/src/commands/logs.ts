// `drover logs`: the console of a container: what its init and services wrote there.

import type { DroverClient } from '@drover/client'
import { type Command, InvalidArgumentError } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { Interrupted } from '../failure.ts'
import { parseName } from '../names.ts'
import { parseDuration } from '../output/durations.ts'
import { parseCount } from '../output/sizes.ts'
import { runInside } from '../run-inside.ts'
import type { Session } from '../session.ts'

interface LogFlags {
  follow?: boolean
  tail?: number
  journal?: boolean
  since?: string
  unit?: string
}

/** What is read from the end to find the last lines in: long lines, as an init seldom writes them. */
const bytesPerLine = 512
const leastTailBytes = 64 << 10

export function register(program: Command): void {
  defineCommand(program, 'logs', {
    summary: 'show the console or journal of a container',
    examples: [
      ['drover logs web-1', 'all of it'],
      ['drover logs web-1 -f --tail 20', 'the last 20 lines, then what comes'],
      ['drover logs db --journal --since 10m', 'the journal of the last ten minutes'],
      ['drover logs db --unit ssh -f', 'of one unit, and what comes'],
    ],
    description:
      'Shows the console of a container: what its init and services wrote there. With --journal, its systemd journal, which knows times and units.',
    json: 'print one JSON line {line} per line on stdout and nothing else; of a journal its own fields',
  })
    .argument('<container>', 'name of the container', parseName)
    .option('-f, --follow', 'go on with what comes until Ctrl-C')
    .option('-n, --tail <lines>', 'start with the last this many lines', parseCount(0, 1_000_000))
    .option('--journal', 'the systemd journal instead of the console')
    .option(
      '--since <time>',
      'the journal from then on: how long ago, e.g. 10m, or a time, e.g. 2026-01-31T12:00',
      parseSince,
    )
    .option('-u, --unit <unit>', 'the journal of this unit', parseUnit)
    .action(action(showLogs))
}

async function showLogs(session: Session, name: string, flags: LogFlags): Promise<unknown> {
  // The console has no times: only the journal can answer since when.
  if (flags.journal || flags.since !== undefined || flags.unit !== undefined) return showJournal(session, name, flags)
  const client = await session.client()
  const stop = new AbortController()
  const off = session.terminal.onSignal('SIGINT', () => stop.abort(new Interrupted()))
  const tail = flags.tail === undefined ? null : await readTail(client, name, flags.tail)
  const sink = session.output.json ? new JsonLines(session) : null
  const write = async (chunk: Buffer) => {
    if (sink) sink.push(chunk)
    else if (!session.terminal.stdout.write(chunk)) {
      await new Promise((resolve) => session.terminal.stdout.once('drain', resolve))
    }
  }
  try {
    if (tail && !flags.follow) await write(tail)
    else {
      const tailBytes = tail === null ? null : tail.length
      for await (const chunk of client.logs(name, { follow: flags.follow ?? false, tailBytes, signal: stop.signal })) {
        await write(chunk)
      }
    }
    sink?.end()
  } finally {
    off()
  }
}

async function showJournal(session: Session, name: string, flags: LogFlags): Promise<number> {
  const { json } = session.output
  const options = [
    ...(flags.since === undefined ? [] : [`--since=${flags.since}`]),
    ...(flags.unit === undefined ? [] : [`--unit=${flags.unit}`]),
    ...(flags.tail === undefined ? [] : [`--lines=${flags.tail}`]),
    ...(flags.follow ? ['--follow', ...(flags.tail === undefined ? ['--no-tail'] : [])] : []),
  ]
  return runInside(session, name, {
    command: ['journalctl', '--no-pager', '--quiet', `--output=${json ? 'json' : 'short-iso'}`, ...options],
    terminal: false,
    environment: {},
    directory: null,
    user: null,
  })
}

/** `10m` ago, or a time; as journalctl takes it, whatever the time zone inside. */
export function parseSince(text: string): string {
  if (/^\d+(\.\d+)?\s*(ms|s|m|min|h|d)$/i.test(text)) return `@${Math.floor((Date.now() - parseDuration(text)) / 1000)}`
  const atMs = /^\d{4}-/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(atMs)) {
    throw new InvalidArgumentError(`${JSON.stringify(text)} is no time: write e.g. 10m, 2h or 2026-01-31T12:00.`)
  }
  return `@${Math.floor(atMs / 1000)}`
}

function parseUnit(text: string): string {
  if (/^[\w@.:\\-]{1,255}$/.test(text)) return text
  throw new InvalidArgumentError(`${JSON.stringify(text)} is not the name of a unit.`)
}

async function readTail(client: DroverClient, name: string, lines: number): Promise<Buffer> {
  const tailBytes = Math.max(leastTailBytes, lines * bytesPerLine)
  const chunks: Buffer[] = []
  for await (const chunk of client.logs(name, { tailBytes })) chunks.push(chunk)
  return lastLines(Buffer.concat(chunks), lines)
}

/** The last `count` lines; an unfinished one at the end counts as one. */
export function lastLines(log: Buffer, count: number): Buffer {
  if (count === 0) return Buffer.alloc(0)
  let at = log.length - 1
  for (let found = 0; ; at--) {
    at = log.lastIndexOf(0x0a, at - (found === 0 && log[at] === 0x0a ? 1 : 0))
    if (at < 0) return log
    if (++found === count) return log.subarray(at + 1)
  }
}

/** Chunks in, `{"line": …}` out. */
class JsonLines {
  readonly #session: Session
  readonly #decoder = new TextDecoder()
  #rest = ''

  constructor(session: Session) {
    this.#session = session
  }

  push(chunk: Buffer): void {
    const lines = (this.#rest + this.#decoder.decode(chunk, { stream: true })).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) this.#session.output.jsonLine({ line: line.replace(/\r$/, '') })
  }

  end(): void {
    if (this.#rest !== '') this.#session.output.jsonLine({ line: this.#rest })
  }
}

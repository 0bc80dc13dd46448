// `drover top`: what containers, or the processes of one, use at the moment: two samples and what lies between.

import { setTimeout as pause } from 'node:timers/promises'
import type { DroverClient } from '@drover/client'
import type { Command } from 'commander'
import { usageOf } from '../container-usage.ts'
import { action, defineCommand } from '../define-command.ts'
import { Interrupted } from '../failure.ts'
import { parseName } from '../names.ts'
import { parseDuration } from '../output/durations.ts'
import { formatBytes, parseCount } from '../output/sizes.ts'
import { renderTable } from '../output/table.ts'
import type { Session } from '../session.ts'
import { printable } from './ps.ts'

interface TopFlags {
  interval: number
  rounds?: number
}

/** What both kinds have: figures that only grow, and memory. */
interface Sample {
  key: string
  cpuUsec: number
  memoryBytes: number
  readBytes: number
  writtenBytes: number
  atMs: number
  title: string
}

/** One line of the result. */
export interface Load {
  name: string
  cpuPercent: number
  memoryBytes: number
  readBytesPerSecond: number
  writtenBytesPerSecond: number
}

const usualIntervalMs = 1000
const clearScreen = '\x1b[H\x1b[2J'

export function register(program: Command): void {
  defineCommand(program, 'top', {
    summary: 'show what uses the processor, memory and disk',
    description:
      'Shows running containers, or the processes of one, by the processor time they took in the last interval (100 % is a core). On a terminal it goes on until Ctrl-C; else it ends after one interval.',
    examples: [
      ['drover top', 'all running containers'],
      ['drover top web --interval 5s', 'the processes of one, over 5 s'],
      ['drover top --rounds 1 --json', 'once, for programs'],
    ],
    json: 'print one JSON array per interval on stdout, one a line',
  })
    .argument('[container]', 'the processes of this one', parseName)
    .option('--interval <duration>', 'how long each interval is', parseDuration, usualIntervalMs)
    .option('--rounds <number>', 'end after this many', parseCount(1, 1_000_000))
    .action(action(show))
}

async function show(session: Session, name: string | undefined, flags: TopFlags): Promise<void> {
  const client = await session.client()
  const stop = new AbortController()
  const off = session.terminal.onSignal('SIGINT', () => stop.abort(new Interrupted()))
  const live = session.terminal.stdout.isTTY === true && !session.output.json
  const rounds = flags.rounds ?? (live ? Number.POSITIVE_INFINITY : 1)
  const sample = () => (name === undefined ? sampleContainers(client) : sampleProcesses(client, name))
  try {
    let before = await sample()
    for (let round = 0; round < rounds; round++) {
      await pause(flags.interval, undefined, { signal: stop.signal }).catch(() => {
        throw stop.signal.reason
      })
      const after = await sample()
      const loads = loadsBetween(before, after)
      if (session.output.json) session.output.jsonLine(loads)
      else {
        if (live && rounds > 1) session.terminal.stdout.write(clearScreen)
        session.output.line(loads.length > 0 ? loadTable(session, loads, name) : 'nothing runs')
      }
      before = after
    }
  } finally {
    off()
  }
}

/** The busiest first; what was not there before has no rates yet. */
export function loadsBetween(before: readonly Sample[], after: readonly Sample[]): Load[] {
  const earlier = new Map(before.map((sample) => [sample.key, sample]))
  return after
    .map((sample) => {
      const first = earlier.get(sample.key) ?? sample
      const seconds = Math.max(sample.atMs - first.atMs, 1) / 1000
      const rate = (now: number, then: number) => Math.max(0, now - then) / seconds
      return {
        name: sample.title,
        cpuPercent: Number((rate(sample.cpuUsec, first.cpuUsec) / 10_000).toFixed(1)),
        memoryBytes: sample.memoryBytes,
        readBytesPerSecond: Math.round(rate(sample.readBytes, first.readBytes)),
        writtenBytesPerSecond: Math.round(rate(sample.writtenBytes, first.writtenBytes)),
      }
    })
    .sort((left, right) => right.cpuPercent - left.cpuPercent || right.memoryBytes - left.memoryBytes)
}

async function sampleProcesses(client: DroverClient, name: string): Promise<Sample[]> {
  const { processes, atMs } = await client.inside(name, 'processes', {})
  return processes.map((each) => ({ ...each, key: `${each.hostPid}`, title: `${each.pid} ${each.command}`, atMs }))
}

async function sampleContainers(client: DroverClient): Promise<Sample[]> {
  const usage = await usageOf(client, await client.containers())
  return [...usage].map(([name, figures]) => ({ key: name, title: name, ...figures }))
}

function loadTable(session: Session, loads: readonly Load[], name: string | undefined): string {
  return renderTable(
    session.output.palette,
    [
      { header: 'CPU', align: 'right', value: ({ cpuPercent }) => `${cpuPercent.toFixed(1)} %` },
      { header: 'MEMORY', align: 'right', value: ({ memoryBytes }) => formatBytes(memoryBytes) },
      { header: 'READ/S', align: 'right', value: ({ readBytesPerSecond }) => formatBytes(readBytesPerSecond) },
      { header: 'WRITE/S', align: 'right', value: ({ writtenBytesPerSecond }) => formatBytes(writtenBytesPerSecond) },
      { header: name === undefined ? 'CONTAINER' : 'PID COMMAND', value: (load) => printable(load.name) },
    ],
    loads,
  )
}

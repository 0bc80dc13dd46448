// `drover host evacuate`: empties a host, live, with a bar, a line per container as it arrives, and a summary.

import { operationFailure } from '@drover/client'
import type { EvacuateRequest, Operation } from '@drover/protocol'
import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { describeProgress, followOperation } from '../follow-operation.ts'
import { parseName } from '../names.ts'
import { formatDuration } from '../output/durations.ts'
import { blackoutMs, median } from '../output/migration.ts'
import { parseCount } from '../output/sizes.ts'
import type { Session } from '../session.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'

interface EvacuateFlags extends WaitFlags {
  parallel?: number
}

export function register(group: Command): void {
  const command = defineCommand(group, 'evacuate', {
    summary: 'empty a host: move all its containers away, live',
    description:
      'Closes the host to new containers and moves all that are on it to others, live. All moves are planned before the first\nbegins. What fits nowhere stays, keeps running and is named. `drover host restore` takes the host back into service.',
    examples: [
      ['drover host evacuate a', 'with a progress bar and a summary'],
      ['drover host evacuate a --parallel 8', 'eight at a time'],
      ['drover host evacuate a --json', 'for programs: the operation, its moves and a summary'],
    ],
  })
    .argument('<host>', 'name of the host', parseName)
    .option('-p, --parallel <number>', 'how many to move at once (default: 4)', parseCount(1, 32))
  addWaitOptions(command).action(action(evacuate))
}

async function evacuate(session: Session, host: string, flags: EvacuateFlags): Promise<void> {
  const client = await session.client()
  const { output } = session
  const request: EvacuateRequest = flags.parallel === undefined ? {} : { parallel: flags.parallel }
  const begun = await client.evacuate(host, request)
  const moves = new MoveLines(session, begun.id)
  const operation = await followOperation(session, begun, flags, {
    onProgress: (now) => {
      if (now.state === 'running') output.statusLine.show(describeProgress(now), null)
      moves.refresh()
      return true
    },
  })
  if (!flags.wait) return output.result(operation, () => `emptying host ${host}, operation ${operation.id}`)
  const ended = await moves.finish()
  output.statusLine.clear()
  const summary = summarize(operation, ended)
  if (output.json) output.document({ ...operation, moves: ended, summary })
  else output.line(describeSummary(host, operation, summary))
  const failure = operationFailure(operation)
  if (failure) throw failure
}

/** Prints each move of an evacuation once, as soon as it has ended. One reading at a time, however often it is asked for. */
class MoveLines {
  readonly #session: Session
  readonly #parent: string
  readonly #printed = new Set<string>()
  #reading: Promise<Operation[]> | null = null
  #again = false

  constructor(session: Session, parent: string) {
    this.#session = session
    this.#parent = parent
  }

  refresh(): void {
    if (this.#reading) {
      this.#again = true
      return
    }
    this.#reading = this.#read()
    // A reading that fails now is made up for by the next one.
    this.#reading
      .catch(() => {})
      .finally(() => {
        this.#reading = null
        if (this.#again) {
          this.#again = false
          this.refresh()
        }
      })
  }

  /** All moves, at the end. */
  async finish(): Promise<Operation[]> {
    this.#again = false
    await this.#reading?.catch(() => {})
    return this.#read()
  }

  async #read(): Promise<Operation[]> {
    const client = await this.#session.client()
    const all = await client.operations()
    const ended = all
      .filter(({ parent, state }) => parent === this.#parent && state !== 'running')
      .sort((left, right) => (left.endedAtMs ?? 0) - (right.endedAtMs ?? 0))
    for (const move of ended) {
      if (this.#printed.has(move.id)) continue
      this.#printed.add(move.id)
      if (!this.#session.output.json) this.#session.output.line(describeMove(this.#session, move))
    }
    return ended
  }
}

function describeMove(session: Session, move: Operation): string {
  const { palette } = session.output
  const { target, migration, error, state, createdAtMs, endedAtMs } = move
  const route = migration ? `${migration.source} → ${migration.destination}` : ''
  if (state !== 'done') return `  ${palette.red('✗')} ${target.padEnd(16)} ${route}  ${error?.message ?? state}`
  const blackout = blackoutMs(move)
  const figures = [
    ...(blackout === null ? [] : [`blackout ${formatDuration(blackout).padStart(7)}`]),
    ...(endedAtMs === null ? [] : [`in ${formatDuration(endedAtMs - createdAtMs)}`]),
  ]
  return `  ${palette.green('✓')} ${target.padEnd(16)} ${route}  ${palette.dim(figures.join('  '))}`
}

export interface EvacuationSummary {
  moved: number
  /** Containers none of whose tries came to a good end. */
  failed: number
  seconds: number
  blackoutMsMedian: number | null
  blackoutMsMax: number | null
}

export function summarize(operation: Operation, ended: readonly Operation[]): EvacuationSummary {
  const moved = ended.filter(({ state }) => state === 'done')
  const arrived = new Set(moved.map(({ target }) => target))
  const failed = new Set(ended.map(({ target }) => target).filter((target) => !arrived.has(target)))
  const { done, total } = operation.progress
  const blackouts = moved.flatMap((move) => blackoutMs(move) ?? [])
  return {
    moved: arrived.size,
    failed: operation.state === 'done' ? failed.size : Math.max(failed.size, total - done),
    seconds: ((operation.endedAtMs ?? operation.updatedAtMs) - operation.createdAtMs) / 1000,
    blackoutMsMedian: median(blackouts),
    blackoutMsMax: blackouts.length === 0 ? null : Math.max(...blackouts),
  }
}

export function describeSummary(host: string, operation: Operation, summary: EvacuationSummary): string {
  const state = operation.state === 'done' ? `host ${host} is empty` : `host ${host} is not empty`
  const { moved, failed, seconds, blackoutMsMedian, blackoutMsMax } = summary
  return [
    `${state}: ${moved} moved, ${failed} failed in ${formatDuration(seconds * 1000)}`,
    ...(blackoutMsMedian === null || blackoutMsMax === null
      ? []
      : [`blackout median ${formatDuration(blackoutMsMedian)}, max ${formatDuration(blackoutMsMax)}`]),
  ].join(' · ')
}

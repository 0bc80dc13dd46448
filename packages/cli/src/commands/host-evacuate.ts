// `drover host evacuate`: empties a host, live, with a bar, a line per container as it arrives, and a summary.

import { operationFailure } from '@drover/client'
import type { EvacuateRequest, Leave, Operation } from '@drover/protocol'
import { type Command, Option } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { UsageError } from '../failure.ts'
import { describeProgress, followOperation } from '../follow-operation.ts'
import { parseNames, parsePair } from '../names.ts'
import { formatDuration, parseDuration } from '../output/durations.ts'
import { blackoutMs, median } from '../output/migration.ts'
import { parseCount } from '../output/sizes.ts'
import type { Session } from '../session.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'
import { describePlan } from './host-evacuate-plan.ts'

interface EvacuateFlags extends WaitFlags {
  parallel?: number
  plan?: boolean
  deadline?: number
  makeRoom?: boolean
  leave?: Leave
  leaveOf?: Record<string, string>
}

const ways: readonly Leave[] = ['live', 'frozen', 'cold', 'stop', 'stay']

export function register(group: Command): void {
  const command = defineCommand(group, 'evacuate', {
    summary: 'empty hosts: move all their containers away, live',
    description: `Closes the hosts to new containers and moves all that are on them to others, live. All moves of a host are planned before
its first begins; none goes to another of these hosts. What fits nowhere stays, keeps running and is named with what would
have to move. A container's --leave (see launch) says how it leaves; --leave here is for those that say nothing, --leave-of
for one. At the deadline no new moves begin. \`drover host restore\` takes a host back into service.`,
    examples: [
      ['drover host evacuate a', 'with a progress bar and a summary'],
      ['drover host evacuate a --plan', 'only says where all would go, and who can’t'],
      ['drover host evacuate a b --parallel 2', 'both, two at a time each'],
      ['drover host evacuate a --deadline 10m --make-room', 'others may move to make room'],
      ['drover host evacuate a --leave-of db=cold', 'db is stopped, moved and started'],
      ['drover host evacuate a --json', 'for programs: the operation, its moves and a summary'],
    ],
    json: 'print one JSON document: the operation, its moves and a summary; an array for several hosts',
  })
    .argument('<host...>', 'names of the hosts', parseNames)
    .option('-p, --parallel <number>', 'how many to move at once (default: 8)', parseCount(1, 32))
    .option('--plan', 'say what would be done, and do nothing')
    .option('--deadline <duration>', 'begin no new moves after this, e.g. 10m', parseDuration)
    .option('--make-room', 'others may be moved to make room for what fits nowhere')
    .addOption(new Option('--leave <how>', 'how containers leave that don’t say (default: live)').choices(ways))
    .option('--leave-of <NAME=HOW>', 'how this one leaves; repeatable', parsePair)
  addWaitOptions(command).action(action(evacuateAll))
}

async function evacuateAll(session: Session, hosts: string[], flags: EvacuateFlags): Promise<void> {
  const client = await session.client()
  const { output } = session
  const request = requestOf(flags)
  if (flags.plan) {
    const plan = await client.planEvacuation({ hosts, ...request })
    return output.result(plan, () => describePlan(output.palette, plan))
  }
  // All are closed before the first is planned, so that none receives from another.
  if (hosts.length > 1) for (const host of hosts) await client.cordon(host)
  const begun = []
  for (const host of hosts) begun.push(await client.evacuate(host, request))
  const documents = []
  const failures = []
  for (const [at, operation] of begun.entries()) {
    const { document, failure } = await follow(session, hosts[at]!, operation, flags)
    documents.push(document)
    if (failure) failures.push(failure)
  }
  if (output.json) output.document(documents.length === 1 ? documents[0] : documents)
  if (failures[0]) throw failures[0]
}

async function follow(session: Session, host: string, begun: Operation, flags: EvacuateFlags) {
  const { output } = session
  const moves = new MoveLines(session, begun.id)
  const operation = await followOperation(session, begun, flags, {
    onProgress: (now) => {
      if (now.state === 'running') output.statusLine.show(describeProgress(now), null)
      moves.refresh()
      return true
    },
  })
  if (!flags.wait) {
    if (!output.json) output.line(`emptying host ${host}, operation ${operation.id}`)
    return { document: operation, failure: null }
  }
  const ended = await moves.finish()
  output.statusLine.clear()
  const summary = summarize(operation, ended)
  if (!output.json) output.line(describeSummary(host, operation, summary))
  return { document: { ...operation, moves: ended, summary }, failure: operationFailure(operation) }
}

function requestOf(flags: EvacuateFlags): EvacuateRequest {
  const { parallel, deadline, makeRoom, leave, leaveOf } = flags
  const wrong = Object.entries(leaveOf ?? {}).find(([, how]) => !ways.includes(how as Leave))
  if (wrong) throw new UsageError(`--leave-of ${wrong.join('=')}: how must be one of ${ways.join(', ')}`)
  return {
    ...(parallel === undefined ? {} : { parallel }),
    ...(deadline === undefined ? {} : { deadlineMs: deadline }),
    ...(makeRoom === undefined ? {} : { mayMakeRoom: makeRoom }),
    ...(leave === undefined ? {} : { leave }),
    ...(leaveOf === undefined ? {} : { leaveOf: leaveOf as Record<string, Leave> }),
  }
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

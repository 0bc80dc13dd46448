// `drover move`: moves a container to another host, live, and shows each phase as it ends and the blackout.

import type { MoveRequest, Operation } from '@drover/protocol'
import { type MoveStrategy, moveStrategies } from '@drover/protocol/plain'
import { type Command, Option } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { describeProgress, followToSuccess } from '../follow-operation.ts'
import { parseName } from '../names.ts'
import { formatDuration, parseDuration } from '../output/durations.ts'
import { describeFigures, describePhase, describeTransfer, phasesBehind } from '../output/migration.ts'
import { parseRate } from '../output/sizes.ts'
import type { Session } from '../session.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'

interface MoveFlags extends WaitFlags {
  cold?: boolean
  strategy?: MoveStrategy
  maxBlackout?: number
  bandwidth?: number
}

export function register(program: Command): void {
  const command = defineCommand(program, 'move', {
    summary: 'move a container to another host, live',
    description:
      'Moves a container to another host with its memory, processes, open connections and addresses. Without HOST the scheduler\nchooses. When anything goes wrong before the switch is committed, it simply goes on where it was. A frozen container is\nmoved without being woken, and arrives frozen.',
    examples: [
      ['drover move web-1', 'to the host that fits best'],
      ['drover move web-1 b', 'to host b'],
      ['drover move web-1 b --max-blackout 100ms', 'not at all if it would stand still for longer'],
      ['drover move web-1 b --bandwidth 50MiB/s', 'leave room for others on the network'],
      ['drover move web-1 b --cold', 'stop it, move its disk, start it there'],
    ],
  })
    .argument('<container>', 'name of the container', parseName)
    .argument('[host]', 'where to; default: the scheduler chooses', parseName)
    .option('--cold', 'stop it for the move, for hosts that take no live moves')
    .addOption(new Option('--strategy <strategy>', 'how its memory goes over (default: auto)').choices(moveStrategies))
    .option('--max-blackout <duration>', 'refuse rather than let it stand still for longer, e.g. 100ms', parseDuration)
    .option('--bandwidth <rate>', 'send no faster while it runs, e.g. 50MiB/s', parseRate)
  addWaitOptions(command).action(action(move))
}

async function move(session: Session, name: string, host: string | undefined, flags: MoveFlags): Promise<void> {
  const client = await session.client()
  const { output } = session
  const request: MoveRequest = {
    ...(host ? { host } : {}),
    ...(flags.cold ? { mode: 'cold' } : {}),
    ...(flags.strategy ? { strategy: flags.strategy } : {}),
    ...(flags.maxBlackout === undefined ? {} : { maxBlackoutMs: flags.maxBlackout }),
    ...(flags.bandwidth === undefined ? {} : { bandwidthBytesPerS: flags.bandwidth }),
  }
  const begun = await client.move(name, request)
  const phases = new PhaseLines(session)
  const operation = await followToSuccess(session, begun, flags, { onProgress: (now) => phases.show(now) })
  output.statusLine.clear()
  if (output.json) return output.document(operation)
  if (!flags.wait) return output.line(`moving ${name}, operation ${operation.id}`)
  output.line(describeMoved(operation))
}

export function describeMoved(operation: Operation): string {
  const { target, migration, createdAtMs, endedAtMs } = operation
  const route = migration ? ` from ${migration.source} to ${migration.destination}` : ''
  const took = endedAtMs === null ? '' : ` in ${formatDuration(endedAtMs - createdAtMs)}`
  const figures = migration ? describeFigures(migration.figures) : []
  return [`moved ${target}${route}${took}`, ...figures].join(' · ')
}

/** Prints each phase once, as soon as it is over. */
class PhaseLines {
  readonly #session: Session
  #printed = -1

  constructor(session: Session) {
    this.#session = session
  }

  /** True: the status line is drawn. Without a terminal the phases' own lines say enough. */
  show(operation: Operation): boolean {
    const { migration } = operation
    const { output } = this.#session
    if (!migration || output.json) return false
    if (this.#printed === -1) {
      output.note(`${operation.target}: ${migration.source} → ${migration.destination} (${migration.mode})`)
      this.#printed = 0
    }
    const behind = phasesBehind(operation)
    for (const each of behind.slice(this.#printed)) output.note(describePhase(output.statusLine.palette, each))
    this.#printed = behind.length
    const news = describeTransfer(operation)
    const words = [describeProgress(operation), ...(news === null ? [] : [news])].join(' · ')
    if (operation.state === 'running') output.statusLine.show(words, null)
    return true
  }
}

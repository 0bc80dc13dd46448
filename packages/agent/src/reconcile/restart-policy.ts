// Pure: whether a container whose init ended by itself is started again, and when. Pauses double, so that one that can't run
// costs little; one that ran for a while begins anew. One that went down with its host is started when that is back, in order.

import type { EngineContainer } from '@drover/engine'
import { type Assignment, defaultAutostart } from '@drover/protocol'

/** What is remembered of one container between its ends. Lost with the agent, which then begins anew. */
export interface RestartHistory {
  /** `starts` of the engine at the last end that was counted. */
  starts: number
  attempts: number
  dueMs: number
}

const firstPauseMs = 1_000
const lastPauseMs = 60_000
/** After so long a run an end is not the same trouble again. */
const stableMs = 60_000

/** Null: its end is its own will, or not an end. */
export function planRestart(
  container: EngineContainer,
  { spec, desired, epoch, revision, migration }: Assignment,
  ranUnder: number | null,
  history: RestartHistory | null,
  nowMs: number,
): RestartHistory | null {
  const { policy, most } = spec.restart ?? { policy: 'no', most: 0 }
  const ended = container.state === 'stopped' && desired !== 'stopped' && ranUnder === revision
  if (ended && wentDownWithHost(container)) {
    const { enabled, delayMs } = spec.autostart ?? defaultAutostart
    if (!enabled || migration !== null || container.epoch !== epoch) return null
    return history?.starts === container.starts
      ? history
      : { starts: container.starts, attempts: 0, dueMs: nowMs + delayMs }
  }
  if (!ended || desired !== 'running' || migration !== null || container.epoch !== epoch || policy === 'no') return null
  if (policy === 'on-failure' && !failed(container)) return null
  if (history?.starts === container.starts) return most > 0 && history.attempts > most ? null : history
  const stable = container.startedAtMs !== null && nowMs - container.startedAtMs >= stableMs
  const attempts = (stable ? 0 : (history?.attempts ?? 0)) + 1
  if (most > 0 && attempts > most) return null
  const pause = Math.min(firstPauseMs * 2 ** (attempts - 1), lastPauseMs)
  return { starts: container.starts, attempts, dueMs: nowMs + pause }
}

export const wentDownWithHost = ({ state, exit }: EngineContainer): boolean =>
  state === 'stopped' && exit?.reason === 'host'

/**
 * Whether one that went down with its host has to wait for others of a higher order, which are to be started and haven't been. One that can't be
 * started (`failed`) holds up nobody.
 */
export function waitsForOthers(
  container: string,
  down: { container: EngineContainer; assignment: Assignment | null; failed: boolean }[],
): boolean {
  const order = (assignment: Assignment | null) => (assignment?.spec.autostart ?? defaultAutostart).order
  const own = down.find((each) => each.container.container === container)
  if (!own || !wentDownWithHost(own.container)) return false
  return down.some(
    (other) =>
      wentDownWithHost(other.container) &&
      !other.failed &&
      other.assignment?.desired === 'running' &&
      (other.assignment.spec.autostart ?? defaultAutostart).enabled &&
      order(other.assignment) > order(own.assignment),
  )
}

/** Without a word of how it ended, nobody can say that it was meant. */
const failed = ({ exit }: EngineContainer) =>
  exit === null || exit.reason === 'killed' || (exit.reason === 'exit' && exit.status !== 0)

// Pure: whether a container whose init ended by itself is started again, and when. Pauses double, so that one that can't run
// costs little; one that ran for a while begins anew.

import type { EngineContainer } from '@drover/engine'
import type { Assignment } from '@drover/protocol'

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
  const ended = container.state === 'stopped' && desired === 'running' && ranUnder === revision
  if (!ended || migration !== null || container.epoch !== epoch || policy === 'no') return null
  if (policy === 'on-failure' && !failed(container)) return null
  if (history?.starts === container.starts) return most > 0 && history.attempts > most ? null : history
  const stable = container.startedAtMs !== null && nowMs - container.startedAtMs >= stableMs
  const attempts = (stable ? 0 : (history?.attempts ?? 0)) + 1
  if (most > 0 && attempts > most) return null
  const pause = Math.min(firstPauseMs * 2 ** (attempts - 1), lastPauseMs)
  return { starts: container.starts, attempts, dueMs: nowMs + pause }
}

/** Without a word of how it ended, nobody can say that it was meant. */
const failed = ({ exit }: EngineContainer) =>
  exit === null || exit.reason === 'killed' || (exit.reason === 'exit' && exit.status !== 0)

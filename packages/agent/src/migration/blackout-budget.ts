// What a move is asked to keep to, as its source sees it: the strategy, and the longest time that the container may stand still. What is
// estimated is told in the figures, and a budget that can't be kept is refused here, while the container still runs.

import { DroverError, type MigrationFigures, type MoveTerms, postCopyRefusal } from '@drover/protocol'
import { type Estimate, estimateBlackout } from './convergence.ts'
import type { MigrationSession } from './session.ts'

export interface MovePlan {
  name: string
  strategy: NonNullable<MoveTerms['strategy']>
  maxBlackoutMs: number | null
  fixedMs: number
  /** All that it holds: what a dump with nothing sent ahead is about. */
  memoryBytes: number
}

/** CRIU's 60 to 80 ms for an idle container, where nothing was measured yet. */
const usualFixedMs = 80

export function movePlan(name: string, terms: MoveTerms | undefined, memoryBytes: number): MovePlan {
  return {
    name,
    strategy: terms?.strategy ?? 'auto',
    maxBlackoutMs: terms?.maxBlackoutMs ?? null,
    fixedMs: terms?.fixedBlackoutMs ?? usualFixedMs,
    memoryBytes,
  }
}

/** The controller refuses it, too; an operation may be older than that. */
export function requireStrategy(name: string, terms: MoveTerms | undefined): void {
  if (terms?.strategy !== 'post-copy') return
  throw new DroverError('NOT_MIGRATABLE', `move ${name} by post-copy: ${postCopyRefusal}`)
}

/** Tells the estimate, of all its memory unless one is given, and refuses when it is over the budget. */
export function requireBudget(session: MigrationSession, plan: MovePlan, known?: Estimate): void {
  const estimate = known ?? estimateBlackout([], { ...plan, alwaysBytes: plan.memoryBytes })
  tell(session, estimate)
  const { maxBlackoutMs } = plan
  if (maxBlackoutMs === null || estimate.blackoutMs <= maxBlackoutMs) return
  const { blackoutMs, restBytes, dirtyBytesPerS } = estimate
  const written = dirtyBytesPerS === null ? '' : `, it writes ${mebibytes(dirtyBytesPerS)}/s`
  throw new DroverError(
    'BLACKOUT_TOO_LONG',
    `move ${plan.name}: it would stand still for about ${Math.round(blackoutMs)} ms, the limit is ${maxBlackoutMs} ms: ${mebibytes(restBytes)} would go after the freeze${written}`,
    { context: { estimatedMs: Math.round(blackoutMs), maxBlackoutMs, restBytes } },
  )
}

/** Figures of a move under way; the next report carries them. */
export function tell(session: MigrationSession, facts: Estimate | MigrationFigures): void {
  if (!isEstimate(facts)) {
    Object.assign(session.figures, facts)
    return
  }
  const { blackoutMs, restBytes, bytesPerS, dirtyBytesPerS } = facts
  Object.assign(session.figures, {
    estimated_blackout_ms: Math.round(blackoutMs),
    rest_bytes: restBytes,
    ...(bytesPerS === null ? {} : { bytes_per_s: Math.round(bytesPerS) }),
    ...(dirtyBytesPerS === null ? {} : { dirty_bytes_per_s: Math.round(dirtyBytesPerS) }),
  })
}

const isEstimate = (facts: Estimate | MigrationFigures): facts is Estimate => 'blackoutMs' in facts

const mebibytes = (bytes: number): string => `${Number((bytes / 2 ** 20).toFixed(1))} MiB`

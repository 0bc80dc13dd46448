// How operations have ended since this process began, counted from the entries that it applied: of each kind and outcome, and of moves how
// long they and their blackouts were.

import type { Applied } from './apply.ts'

interface Distribution {
  /** Seconds, ascending. */
  bounds: readonly number[]
  /** Of those up to each bound and above the one before. */
  counts: number[]
  sum: number
  total: number
}

const distribution = (bounds: readonly number[]): Distribution => ({
  bounds,
  counts: bounds.map(() => 0),
  sum: 0,
  total: 0,
})

export class OperationCounts {
  readonly ended = new Map<string, { kind: string; state: string; count: number }>()
  readonly blackouts = distribution([0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10])
  readonly moves = distribution([0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300])

  note({ index, changes }: Pick<Applied, 'index' | 'changes'>): void {
    for (const change of changes) {
      if (change.table !== 'operations' || change.value === null || change.value.endedAtMs === null) continue
      const { kind, state, revision, updatedAtMs, createdAtMs, endedAtMs, migration } = change.value
      if (revision !== index || updatedAtMs !== endedAtMs) continue
      const key = `${kind} ${state}`
      const known = this.ended.get(key) ?? { kind, state, count: 0 }
      this.ended.set(key, { ...known, count: known.count + 1 })
      if (kind !== 'move' || state !== 'done') continue
      observe(this.moves, (endedAtMs - createdAtMs) / 1000)
      const blackoutMs = migration?.figures.blackout_ms
      if (blackoutMs !== undefined) observe(this.blackouts, blackoutMs / 1000)
    }
  }
}

function observe(into: Distribution, seconds: number): void {
  const index = into.bounds.findIndex((bound) => seconds <= bound)
  if (index >= 0) into.counts[index] = (into.counts[index] ?? 0) + 1
  into.sum += seconds
  into.total++
}

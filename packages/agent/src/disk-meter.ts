// How much each container's writable layer holds and how fast it changes, for the cost of a move. A layer is measured by walking it, so
// one at a time, the one that is most overdue first, and no layer more often than is worth a hundredth of a processor.

import type { EngineContainer } from '@drover/engine'
import type { ObservedContainer } from '@drover/protocol'
import { type Manifest, scanManifest, sizeOf } from './migration/disk-manifest.ts'

/** A layer that has just been made is being filled, so it is looked at again soon, and then half as often each time. */
const firstPauseMs = 5_000
/** A layer that has been there for a while is hardly another one sooner; one whose walk takes long waits so many times as long. */
const usualPauseMs = 5 * 60_000
const pausePerWalk = 100
/** Files that have changed within it tell what is written now: a move would send them again. */
export const recentMs = 30_000
/** What one walk has seen counts half against what those before it have. */
const smoothing = 0.5

export type DiskUse = Required<Pick<ObservedContainer, 'diskBytes' | 'dirtyBytesPerS'>>

interface Measured extends DiskUse {
  upper: string
  pauseMs: number
  nextMs: number
}

export interface DiskMeterOptions {
  now?: () => number
  scan?: (upper: string) => Promise<Manifest>
}

export class DiskMeter {
  readonly #now: () => number
  readonly #scan: (upper: string) => Promise<Manifest>
  readonly #measured = new Map<string, Measured>()
  #busy = false

  constructor({ now = Date.now, scan = scanManifest }: DiskMeterOptions = {}) {
    this.#now = now
    this.#scan = scan
  }

  of(container: string): DiskUse | null {
    const measured = this.#measured.get(container)
    return measured ? { diskBytes: measured.diskBytes, dirtyBytesPerS: measured.dirtyBytesPerS } : null
  }

  /** Of all that have been measured. */
  get totalBytes(): number {
    let total = 0
    for (const { diskBytes } of this.#measured.values()) total += diskBytes
    return total
  }

  /** Measures the one whose turn it is, if it is anybody's. Resolves when that is done; meanwhile other calls do nothing. */
  async turn(containers: readonly Pick<EngineContainer, 'container' | 'upper'>[]): Promise<void> {
    this.#forgetOthers(containers)
    const next = this.#mostDue(containers)
    if (this.#busy || next === null) return
    this.#busy = true
    try {
      await this.#measure(next)
    } finally {
      this.#busy = false
    }
  }

  async #measure({ container, upper }: Pick<EngineContainer, 'container' | 'upper'>): Promise<void> {
    const beganMs = this.#now()
    // A layer that goes away meanwhile is looked at no more.
    const manifest = await this.#scan(upper).catch(() => null)
    const before = this.#measured.get(container)
    const pauseMs = before?.upper === upper ? Math.min(usualPauseMs, 2 * before.pauseMs) : firstPauseMs
    const nextMs = this.#now() + Math.max(pauseMs, pausePerWalk * (this.#now() - beganMs))
    if (manifest === null) {
      if (before) this.#measured.set(container, { ...before, nextMs })
      return
    }
    const rate = (1000 * changedSince(manifest, beganMs - recentMs)) / recentMs
    const smoothed = before?.upper === upper ? before.dirtyBytesPerS + smoothing * (rate - before.dirtyBytesPerS) : rate
    this.#measured.set(container, {
      upper,
      pauseMs,
      nextMs,
      diskBytes: sizeOf(manifest),
      dirtyBytesPerS: Math.round(smoothed),
    })
  }

  #mostDue(containers: readonly Pick<EngineContainer, 'container' | 'upper'>[]) {
    let most = null
    let dueMs = this.#now()
    for (const each of containers) {
      const nextMs = this.#measured.get(each.container)?.nextMs ?? 0
      if (nextMs >= dueMs) continue
      most = each
      dueMs = nextMs
    }
    return most
  }

  #forgetOthers(containers: readonly Pick<EngineContainer, 'container'>[]): void {
    if (this.#measured.size === 0) return
    const here = new Set(containers.map(({ container }) => container))
    for (const container of this.#measured.keys()) if (!here.has(container)) this.#measured.delete(container)
  }
}

/** Bytes of files that have changed since; a change sends the whole file again. */
function changedSince(manifest: Manifest, sinceMs: number): number {
  const since = BigInt(Math.round(sinceMs)) * 1_000_000n
  return sizeOf(new Map([...manifest].filter(([, { ctimeNs }]) => ctimeNs > since)))
}

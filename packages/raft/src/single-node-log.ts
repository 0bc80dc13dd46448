// The replicated log of a cluster with one controller: always leader, durable by LMDB, no network.
//
// Proposals that arrive while a commit is on its way to the disk go together into the next one (group commit). They are
// applied in order once they are durable. Every `snapshotEvery` entries the state is stored and the entries before it dropped.

import { DroverError } from '@drover/protocol'
import { checkEntry } from './entry-limits.ts'
import type { LogStatus, ReplicatedLog, StateMachine } from './replicated-log.ts'
import { SingleNodeStore } from './single-node-store.ts'

export interface SingleNodeLogOptions {
  /** Folder of the LMDB environment; made when missing. One process at a time. */
  directory: string
  machine: StateMachine
  /** Entries between two stored snapshots. Each costs one serialisation of the state, so it is rare. */
  snapshotEvery?: number
}

/** A start replays at most about this many entries: some ten milliseconds of work. */
const SNAPSHOT_EVERY = 4096

/** Entries in one commit, so that one burst does not block the loop with a single long apply. */
const MAX_BATCH = 512

interface Waiter {
  /** null: a barrier. */
  entry: Uint8Array | null
  resolve(outcome: { index: number; result: unknown }): void
  reject(error: DroverError): void
}

export class SingleNodeLog implements ReplicatedLog {
  readonly #options: SingleNodeLogOptions
  readonly #listeners = new Set<(status: LogStatus) => void>()
  #store: SingleNodeStore | null = null
  #queue: Waiter[] = []
  #flushing: Promise<void> | null = null
  #closing = false
  #term = 0
  #appliedIndex = 0
  #snapshotIndex = 0

  constructor(options: SingleNodeLogOptions) {
    this.#options = options
  }

  async start(): Promise<void> {
    const store = new SingleNodeStore(this.#options.directory)
    this.#replay(store)
    this.#term = await store.nextTerm()
    this.#store = store
    for (const listener of this.#listeners) listener(this.status())
  }

  propose(entry: Uint8Array, deadlineMs: number): Promise<{ index: number; result: unknown }> {
    return this.#enqueue(entry, deadlineMs)
  }

  async barrier(deadlineMs: number): Promise<void> {
    await this.#enqueue(null, deadlineMs)
  }

  status(): LogStatus {
    const open = this.#store !== null && !this.#closing
    return {
      role: open ? 'leader' : 'follower',
      term: this.#term,
      leader: open ? { id: 1, address: 'local' } : null,
      appliedIndex: this.#appliedIndex,
    }
  }

  onStatus(listener: (status: LogStatus) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async close(): Promise<void> {
    if (this.#closing) return
    this.#closing = true
    await this.#flushing
    await this.#store?.close()
    this.#store = null
    for (const listener of this.#listeners) listener(this.status())
  }

  #replay(store: SingleNodeStore): void {
    const { machine } = this.#options
    const snapshot = store.snapshot()
    const last = store.lastIndex()
    if (machine.appliedIndex > last) {
      throw new DroverError(
        'INTERNAL',
        `start the log in ${this.#options.directory}: it ends at ${last}, but the state has applied ${machine.appliedIndex}; the folders do not belong together`,
        { context: { lastIndex: last, appliedIndex: machine.appliedIndex } },
      )
    }
    this.#appliedIndex = machine.appliedIndex
    this.#snapshotIndex = snapshot?.index ?? 0
    if (snapshot && snapshot.index > machine.appliedIndex) {
      machine.restore(snapshot.index, snapshot.bytes)
      this.#appliedIndex = snapshot.index
    }
    for (const { index, entry } of store.entriesAfter(this.#appliedIndex)) {
      machine.apply(index, entry)
      this.#appliedIndex = index
    }
  }

  async #enqueue(entry: Uint8Array | null, deadlineMs: number): Promise<{ index: number; result: unknown }> {
    if (!this.#store || this.#closing) {
      throw new DroverError('NOT_LEADER', 'propose an entry: this log is not open', { context: { leader: null } })
    }
    if (entry) checkEntry(entry, this.#queue.length)
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(
          new DroverError('TIMED_OUT', `commit an entry: not durable within ${deadlineMs} ms`, {
            context: { deadlineMs },
          }),
        )
      }, deadlineMs)
      this.#queue.push({
        entry,
        resolve: (outcome) => {
          clearTimeout(timer)
          resolve(outcome)
        },
        reject: (error) => {
          clearTimeout(timer)
          reject(error)
        },
      })
      this.#flushing ??= this.#flush()
    })
  }

  async #flush(): Promise<void> {
    const store = this.#store!
    // One turn's wait lets the proposals of this turn share the first commit.
    await Promise.resolve()
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0, MAX_BATCH)
      const entries = batch.flatMap((waiter) => waiter.entry ?? [])
      try {
        if (entries.length > 0) await store.append(this.#appliedIndex + 1, entries)
      } catch (thrown) {
        this.#failAll(batch, thrown)
        continue
      }
      this.#applyAll(batch)
      if (this.#appliedIndex - this.#snapshotIndex >= (this.#options.snapshotEvery ?? SNAPSHOT_EVERY))
        await this.#compact(store)
    }
    this.#flushing = null
  }

  #applyAll(batch: readonly Waiter[]): void {
    for (const waiter of batch) {
      if (!waiter.entry) {
        waiter.resolve({ index: this.#appliedIndex, result: undefined })
        continue
      }
      const index = this.#appliedIndex + 1
      // A state machine that throws has lost its determinism: nothing may follow, so the process ends here (crash-only).
      const result = this.#options.machine.apply(index, waiter.entry)
      this.#appliedIndex = index
      waiter.resolve({ index, result })
    }
  }

  async #compact(store: SingleNodeStore): Promise<void> {
    const index = this.#appliedIndex
    // A full disk costs only space and replay time here: it is tried again after as many entries.
    await store.compact({ index, bytes: this.#options.machine.snapshot() }).catch(() => undefined)
    this.#snapshotIndex = index
  }

  /** The disk refused (full, read-only): nothing of the batch was appended. */
  #failAll(batch: readonly Waiter[], thrown: unknown): void {
    const cause = DroverError.from(thrown)
    for (const waiter of batch) {
      waiter.reject(
        new DroverError('INTERNAL', `append to the log in ${this.#options.directory}: ${cause.message}`, {
          cause: thrown,
        }),
      )
    }
  }
}

// The state machine that the log drives: the state in memory, and in LMDB with the applied index in the same transaction.
// Entries are written to disk behind the applying, many in one transaction: the log still has those that a crash loses, and
// hands them in again, because `appliedIndex` is what the disk has.

import { DroverError } from '@drover/protocol'
import type { StateMachine } from '@drover/raft'
import { type Database, open, type RootDatabase } from 'lmdb'
import { type Applied, apply, applyUnknown, type Outcome } from '../core/apply.ts'
import type { Entry } from '../core/entries.ts'
import { decodeEntry } from '../core/entry-codec.ts'
import {
  type Change,
  type ClusterState,
  decodeSnapshot,
  emptyState,
  encodeSnapshot,
  tableNames,
  writeEntity,
} from '../core/state.ts'

const indexKey = 'appliedIndex'
/**
 * The first change waits so long for company: a busy cluster changes the same few entities again and again, and each transaction costs every
 * controller more than all that is in it. What a crash loses of it, the log hands in again: half a second's entries.
 */
const gatherMs = 500
type Stored = { value: unknown }

export class ClusterStateMachine implements StateMachine {
  state: ClusterState
  readonly #root: RootDatabase
  readonly #entities: Database<Stored, [string, string]>
  readonly #meta: Database<number, string>
  readonly #listeners = new Set<(applied: Applied) => void>()
  #storedIndex: number
  /** Changes that the disk doesn't have yet, by table and key; the last one counts. */
  #dirty = new Map<string, Change>()
  #replaced = false
  #writing: Promise<void> | null = null
  /** Ends the waiting for company; null when nothing waits. */
  #hurry: (() => void) | null = null
  #closing = false
  readonly #onDiskFailure: (error: unknown) => void

  constructor(directory: string, onDiskFailure: (error: unknown) => void) {
    this.#onDiskFailure = onDiskFailure
    this.#root = open({ path: directory, overlappingSync: false, noSubdir: false, maxDbs: 2 })
    this.#entities = this.#root.openDB({ name: 'entities', encoding: 'json' })
    this.#meta = this.#root.openDB({ name: 'meta', encoding: 'json' })
    this.state = this.#load()
    this.#storedIndex = this.state.index
  }

  /** Index of the last entry whose changes are on disk. */
  get appliedIndex(): number {
    return this.#storedIndex
  }

  /** Called after each entry, in order. */
  onApplied(listener: (applied: Applied) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  apply(index: number, entry: Uint8Array): Outcome {
    if (index <= this.state.index) throw new Error(`apply entry ${index}: the state is at ${this.state.index} already`)
    const applied = this.#applyBytes(index, entry)
    for (const change of applied.changes) this.#dirty.set(`${change.table}/${change.key}`, change)
    this.#scheduleWrite()
    for (const listener of this.#listeners) listener(applied)
    return applied.outcome
  }

  snapshot(): Uint8Array {
    return encodeSnapshot(this.state)
  }

  restore(index: number, snapshot: Uint8Array): void {
    const state = decodeSnapshot(snapshot)
    if (state.index !== index) throw new Error(`restore a snapshot of ${index}: it says ${state.index}`)
    this.state = state
    this.#replaced = true
    this.#dirty.clear()
    this.#scheduleWrite()
  }

  /** Waits until everything applied is on disk. */
  async close(): Promise<void> {
    this.#closing = true
    this.#hurry?.()
    while (this.#writing) await this.#writing
    await this.#root.close()
  }

  #applyBytes(index: number, bytes: Uint8Array): Applied {
    let entry: Entry
    try {
      entry = decodeEntry(bytes)
    } catch (thrown) {
      return applyUnknown(this.state, index, DroverError.from(thrown))
    }
    return apply(this.state, index, entry)
  }

  #scheduleWrite(): void {
    if (this.#writing) return
    this.#writing = this.#writeAll().then(
      () => {
        this.#writing = null
      },
      (error) => {
        this.#writing = null
        this.#onDiskFailure(error)
      },
    )
  }

  /** Writes until nothing is left; what is applied meanwhile goes into the next transaction. */
  async #writeAll(): Promise<void> {
    while (this.#replaced || this.#storedIndex < this.state.index) {
      await this.#gather()
      const { index } = this.state
      const replaced = this.#replaced
      const changes = replaced ? everything(this.state) : [...this.#dirty.values()]
      this.#dirty.clear()
      this.#replaced = false
      await this.#root.transaction(() => {
        if (replaced) this.#entities.clearSync()
        for (const { table, key, value } of changes) {
          if (value === null) this.#entities.removeSync([table, key])
          else this.#entities.putSync([table, key], { value })
        }
        this.#meta.putSync(indexKey, index)
      })
      this.#storedIndex = index
    }
  }

  #gather(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.#closing ? 0 : gatherMs)
      this.#hurry = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  #load(): ClusterState {
    const state = emptyState()
    for (const { key, value } of this.#entities.getRange({})) {
      writeEntity(state, { table: key[0], key: key[1], value: value.value } as Change)
    }
    state.index = this.#meta.get(indexKey) ?? 0
    return state
  }
}

const everything = (state: ClusterState): Change[] =>
  tableNames.flatMap((table) => [...state.tables[table]].map(([key, value]) => ({ table, key, value }) as Change))

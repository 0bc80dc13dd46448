// The disk of SingleNodeLog: entries by index, the newest snapshot and the term, in one LMDB environment.
//
// A write resolves only when it is durable: `overlappingSync: false` makes LMDB flush inside the commit. Entries are cut
// off only in the transaction that stores a snapshot which covers them, so the folder alone always rebuilds the state.

import { mkdirSync } from 'node:fs'
import { DroverError } from '@drover/protocol'
import { type Database, open, type RootDatabase } from 'lmdb'

export interface StoredSnapshot {
  index: number
  bytes: Uint8Array
}

export class SingleNodeStore {
  readonly #root: RootDatabase
  readonly #entries: Database<Buffer, number>
  readonly #snapshots: Database<Buffer, number>
  readonly #meta: Database<number, string>
  readonly #directory: string

  constructor(directory: string) {
    mkdirSync(directory, { recursive: true })
    this.#directory = directory
    this.#root = open({ path: directory, overlappingSync: false, noSubdir: false, maxDbs: 3 })
    this.#entries = this.#root.openDB({ name: 'entries', encoding: 'binary' })
    this.#snapshots = this.#root.openDB({ name: 'snapshots', encoding: 'binary' })
    this.#meta = this.#root.openDB({ name: 'meta', encoding: 'json' })
  }

  lastIndex(): number {
    for (const index of this.#entries.getKeys({ reverse: true, limit: 1 })) return index
    return this.snapshot()?.index ?? 0
  }

  snapshot(): StoredSnapshot | null {
    for (const { key, value } of this.#snapshots.getRange({ reverse: true, limit: 1 }))
      return { index: key, bytes: value }
    return null
  }

  /** The entries after `index` in order; a hole means that the file was tampered with and is an error. */
  *entriesAfter(index: number): Generator<{ index: number; entry: Buffer }> {
    let expected = index + 1
    for (const { key, value } of this.#entries.getRange({ start: index + 1 })) {
      if (key !== expected) throw this.#broken(`entry ${expected} is missing, ${key} follows`)
      yield { index: key, entry: value }
      expected += 1
    }
  }

  /** A new life of the log: terms grow by one with each. */
  async nextTerm(): Promise<number> {
    const term = (this.#meta.get('term') ?? 0) + 1
    await this.#meta.put('term', term)
    return term
  }

  /** Appends entries from `first` on, in one durable transaction. */
  async append(first: number, entries: readonly Uint8Array[]): Promise<void> {
    const ours = await this.#root.transaction(() => {
      if (this.#entries.doesExist(first)) return false
      entries.forEach((entry, offset) => {
        this.#entries.putSync(first + offset, asBuffer(entry))
      })
      return true
    })
    if (!ours) throw this.#broken(`entry ${first} exists already: another process writes to it`)
  }

  /** Stores a snapshot and drops the entries and snapshots that it replaces. */
  async compact(snapshot: StoredSnapshot): Promise<void> {
    await this.#root.transaction(() => {
      this.#snapshots.putSync(snapshot.index, asBuffer(snapshot.bytes))
      for (const index of [...this.#snapshots.getKeys({ end: snapshot.index })]) this.#snapshots.removeSync(index)
      for (const index of [...this.#entries.getKeys({ end: snapshot.index + 1 })]) this.#entries.removeSync(index)
    })
  }

  entryCount(): number {
    return this.#entries.getCount()
  }

  async close(): Promise<void> {
    await this.#root.close()
  }

  #broken(what: string): DroverError {
    return new DroverError('INTERNAL', `the log in ${this.#directory}: ${what}`, {
      context: { directory: this.#directory },
    })
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

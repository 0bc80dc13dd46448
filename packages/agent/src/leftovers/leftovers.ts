// What containers that have moved away leave here: the writable layer as it was, something to compare with when they come back, never to run.
// `<root>/<container>/leftover.json` is written before the engine moves the layer in as `upper`, and a restarted agent removes what is not
// both, so that nothing lies here that isn't known. Bounded in number, bytes and age; space that gets short is taken from here first.

import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statfsSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { chooseDropped, type Leftover, type Room } from './choose-dropped.ts'

/** Comparing costs more than sending less than this. */
export const leastKeptBytes = 256 << 10

export interface LeftoversOptions {
  /** Null: a tenth of the file system. 0: nothing is kept. */
  mostBytes: number | null
  now?: () => number
  room?: (directory: string) => Room
}

const recordName = 'leftover.json'
const namePattern = /^[a-z0-9-]{1,32}$/

export class Leftovers {
  readonly #root: string
  #mostBytes: number | null
  readonly #now: () => number
  readonly #room: (directory: string) => Room
  readonly #kept = new Map<string, Leftover>()
  #removals = 0

  constructor(dataDirectory: string, { mostBytes, now = Date.now, room = roomOf }: LeftoversOptions) {
    this.#root = join(dataDirectory, 'leftovers')
    this.#mostBytes = mostBytes
    this.#now = now
    this.#room = room
    mkdirSync(this.#root, { recursive: true, mode: 0o700 })
    this.#load()
  }

  all(): Leftover[] {
    return [...this.#kept.values()]
  }

  get totalBytes(): number {
    return this.all().reduce((total, { bytes }) => total + bytes, 0)
  }

  has(container: string): boolean {
    return this.#kept.has(container)
  }

  /** Where the engine shall put the layer of one that leaves: recorded, not yet there. Null: it isn't kept. */
  expect(container: string, bytes: number): string | null {
    this.drop(container)
    if (bytes < leastKeptBytes || !namePattern.test(container)) return null
    const leftover = { container, bytes, keptAtMs: this.#now() }
    const dropped = this.#choose([...this.all(), leftover], bytes)
    if (dropped.includes(container)) return null
    for (const each of dropped) this.drop(each)
    const directory = join(this.#root, container)
    try {
      mkdirSync(directory, { mode: 0o700 })
      writeFileSync(join(directory, recordName), JSON.stringify(leftover))
    } catch {
      // A full disk, say: that it leaves comes first.
      this.discard(directory)
      return null
    }
    this.#kept.set(container, leftover)
    return join(directory, 'upper')
  }

  /** The engine has done what it could. */
  settle(container: string): void {
    if (this.has(container) && !existsSync(join(this.#root, container, 'upper'))) this.drop(container)
  }

  /** Puts it in the place of a layer that is empty; false: it isn't there, or can't be moved. */
  take(container: string, upper: string): boolean {
    if (!this.has(container)) return false
    try {
      renameSync(join(this.#root, container, 'upper'), upper)
      return true
    } catch {
      return false
    } finally {
      this.drop(container)
    }
  }

  drop(container: string): void {
    if (!this.#kept.delete(container)) return
    this.discard(join(this.#root, container))
  }

  /** Any directory of this file system: out of sight at once, and removed in the background. */
  discard(directory: string): void {
    const gone = join(this.#root, `.gone-${process.pid}-${this.#removals++}`)
    try {
      renameSync(directory, gone)
    } catch {
      return
    }
    void rm(gone, { recursive: true, force: true }).catch(() => {})
  }

  /** As the controller says: how much may be kept, null for a tenth of the file system, and what nobody wants any more. */
  obey({ mostBytes, drop }: { mostBytes: number | null; drop: readonly string[] }): void {
    for (const container of drop) this.drop(container)
    if (mostBytes === this.#mostBytes) return
    this.#mostBytes = mostBytes
    this.trim()
  }

  /** To be called now and then: drops what is too old or too much, and gives room back that has become short. */
  trim(): void {
    for (const each of this.#choose(this.all(), 0)) this.drop(each)
  }

  #choose(all: Leftover[], arrivingBytes: number): string[] {
    if (all.length === 0) return []
    const room = this.#room(this.#root)
    const mostBytes = this.#mostBytes ?? room.sizeBytes / 10
    return chooseDropped(all, { ...room, mostBytes, nowMs: this.#now(), arrivingBytes })
  }

  #load(): void {
    for (const name of readdirSync(this.#root)) {
      const directory = join(this.#root, name)
      const leftover = namePattern.test(name) ? readRecord(directory) : null
      if (leftover?.container === name && existsSync(join(directory, 'upper'))) this.#kept.set(name, leftover)
      else if (name.startsWith('.gone-')) void rm(directory, { recursive: true, force: true }).catch(() => {})
      else this.discard(directory)
    }
    this.trim()
  }
}

function readRecord(directory: string): Leftover | null {
  try {
    const { container, bytes, keptAtMs } = JSON.parse(readFileSync(join(directory, recordName), 'utf8')) as Leftover
    return typeof container === 'string' && bytes >= 0 && keptAtMs >= 0 ? { container, bytes, keptAtMs } : null
  } catch {
    return null
  }
}

function roomOf(directory: string): Room {
  const { bavail, blocks, bsize } = statfsSync(directory)
  return { sizeBytes: blocks * bsize, freeBytes: bavail * bsize }
}

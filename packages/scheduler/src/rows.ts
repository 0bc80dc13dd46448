// The hosts of the typed-array model as rows, a search among them, and what both kinds of index share: whether a row has the
// space, and which of two equal rows is taken.

import { lot } from './rank.ts'
import { columns, writeCapacity, writeRequested } from './resource-vector.ts'
import { type ClusterSnapshot, defaultPool, type HostSnapshot } from './snapshot.ts'

/** What shelves and indexes see of the model: the rows. */
export interface Rows {
  /** Row-major: slot × columns. */
  used: Float64Array
  capacity: Float64Array
  containers: Int32Array
  /** Rank of the host's lot and name among all: smaller wins. */
  lots: Int32Array
  imageMask: Int32Array
  images: Set<string>[]
}

/** A search for one demand. Scores compare within one pool only; a demand has one. */
export interface Search {
  vector: Float64Array
  image: string
  imageBit: number
  /** All but space; null: every host of the shelf will do. */
  accepts: ((slot: number) => boolean) | null
  /** The empty hosts' score when packing by holes. */
  enoughOpen: boolean
  best: number
  bestScore: number
  bestHasImage: boolean
}

export interface ShelfIndex {
  /** Puts all in at once. */
  fill: (slots: readonly number[]) => void
  insert: (slot: number) => void
  /** Before its row changes. */
  remove: (slot: number) => void
  /** Improves `search` by the best row of the shelf. */
  search: (search: Search) => void
  /** Improves `search` by this row, if it's better. */
  consider: (slot: number, search: Search) => void
}

/** The columns that can run out on hosts of this capacity. */
export function finiteColumns(capacity: Float64Array): Int32Array {
  return Int32Array.from([...capacity.keys()].filter((column) => Number.isFinite(capacity[column]!)))
}

export function fits(
  rows: Rows,
  capacity: Float64Array,
  finite: Int32Array,
  slot: number,
  vector: Float64Array,
): boolean {
  const at = slot * columns
  for (let i = 0; i < finite.length; i++) {
    const column = finite[i]!
    if (rows.used[at + column]! + vector[column]! > capacity[column]!) return false
  }
  return true
}

/** Takes the row if it beats the best so far. The caller knows that it is feasible, and its score. */
export function offer(rows: Rows, slot: number, score: number, search: Search): void {
  const { best } = search
  if (best >= 0) {
    if (score < search.bestScore) return
    if (score === search.bestScore) {
      const hasImage = holds(rows, slot, search)
      if (hasImage !== search.bestHasImage) {
        if (!hasImage) return
      } else if (!before(rows, slot, best)) return
    }
  }
  search.best = slot
  search.bestScore = score
  search.bestHasImage = holds(rows, slot, search)
}

export function holds(rows: Rows, slot: number, { image, imageBit }: Search): boolean {
  return (rows.imageMask[slot]! & imageBit) !== 0 && rows.images[slot]!.has(image)
}

/** Among equals: fewer containers, then the lot. */
export function before(rows: Rows, left: number, right: number): boolean {
  const difference = rows.containers[left]! - rows.containers[right]!
  return difference < 0 || (difference === 0 && rows.lots[left]! < rows.lots[right]!)
}

export function rowsOf(
  hosts: readonly HostSnapshot[],
  pools: NonNullable<ClusterSnapshot['pools']>,
  seed: number,
): Rows {
  const rows: Rows = {
    used: new Float64Array(hosts.length * columns),
    capacity: new Float64Array(hosts.length * columns),
    containers: Int32Array.from(hosts, ({ containers }) => containers),
    lots: new Int32Array(hosts.length),
    imageMask: Int32Array.from(hosts, ({ images }) => [...images].reduce((mask, image) => mask | imageBit(image), 0)),
    images: hosts.map(({ images }) => new Set(images)),
  }
  const drawn = hosts.map(({ name }, slot) => ({ slot, name, lot: lot(seed, name) }))
  drawn.sort((left, right) => left.lot - right.lot || (left.name < right.name ? -1 : 1))
  for (const [rank, { slot }] of drawn.entries()) rows.lots[slot] = rank
  for (const [slot, host] of hosts.entries()) {
    writeCapacity(host, pools[host.pool ?? defaultPool] ?? {}, rows.capacity, slot * columns)
    writeRequested(host, rows.used, slot * columns)
  }
  return rows
}

/** One of 32 bits: where it is clear, the image isn't there; where it is set, the set of images says. */
export function imageBit(image: string): number {
  let hash = 0
  for (let i = Math.max(0, image.length - 8); i < image.length; i++)
    hash = (Math.imul(hash, 31) + image.charCodeAt(i)) | 0
  return 1 << (hash & 31)
}

// Which larger files of a layer go in pieces, and which of their pieces, while the container changes them and once it stands still. Pure. What
// is said of a file here may be old by the time that it is sent, as long as the container runs: only what is compared last must be true.

import { hasChanged, parentOf } from './disk-delta.ts'
import type { Manifest, ManifestEntry } from './disk-manifest.ts'
import { type Patch, runsOf } from './likeness.ts'
import type { IndexEntry, TreeIndex } from './tree-index.ts'

/** Of the others no numbers are made: native/engine/src/tree_hash.cc. */
const leastBytes = 256n << 10n
const mostBytes = 64n << 30n
/** Zeros that take room at the destination where the source has a hole. */
const mostZeros = 1 << 20
/** Their pages are written back one file after the other in each round; of more, all that the file system has would be (clean-pages.ts). */
export const mostFiles = 64
/** Sent within a few milliseconds even after the freeze. */
const fewBytes = 1 << 20
/** A round that is not smaller than this share of the one before shows that the container writes as fast as it is sent. */
const shrinking = 0.7
const mostRounds = 4

export interface AheadPatch extends Patch {
  create?: { mode: number; uid: number; gid: number }
}

/**
 * Larger files that are not as they were in `seen`, and those in `also` that are still such; in a directory that is there. Of too many the largest.
 */
export function changedFiles(first: Manifest, seen: Manifest, now: Manifest, also: ReadonlySet<string>): string[] {
  const found: [path: string, sizeBytes: bigint][] = []
  for (const [path, entry] of now) {
    if (!goesInPieces(entry) || (!also.has(path) && !hasChanged(seen.get(path), entry))) continue
    if (first.has(path) || first.get(parentOf(path))?.type === 'directory') found.push([path, entry.sizeBytes])
  }
  if (found.length > mostFiles) found.sort(([, left], [, right]) => Number(right - left))
  return found.slice(0, mostFiles).map(([path]) => path)
}

/** While it runs. */
export function patchesAhead(paths: readonly string[], now: Manifest, here: TreeIndex, there: TreeIndex): AheadPatch[] {
  return paths.flatMap((path) => {
    const entry = now.get(path)
    const known = here.get(path)
    const other = there.get(path)
    if (!entry || !known || known.hasOtherNames) return []
    if (other && (other.hasOtherNames || other.kind !== 'file')) return []
    const runs = runsOf(known, other?.pieces ?? Buffer.alloc(0), { most: 1, mostZeros })
    const isSame = other !== undefined && runs?.length === 0 && other.sizeBytes === known.sizeBytes
    if (runs === null || isSame) return []
    const { mode, uid, gid } = entry
    const create = other ? {} : { create: { mode, uid, gid } }
    return [{ path, sizeBytes: known.sizeBytes, mtimeNs: 0n, runs, ...create }]
  })
}

/** Once it stands still. Null: it goes whole. 'same': nothing need be done. */
export function lastPatch(
  path: string,
  entry: ManifestEntry,
  known: IndexEntry,
  other: IndexEntry,
): Patch | 'same' | null {
  if (known.hasOtherNames || other.hasOtherNames || known.kind !== 'file' || other.kind !== 'file') return null
  if (known.attributes !== other.attributes || other.pieces.length === 0) return null
  if (known.sizeBytes !== Number(entry.sizeBytes) || entry.mtimeNs < 0n) return null
  if (known.facts === other.facts && known.content === other.content) return 'same'
  const runs = runsOf(known, other.pieces, { most: 1, mostZeros })
  return runs && { path, sizeBytes: known.sizeBytes, mtimeNs: entry.mtimeNs, runs }
}

export const goesInPieces = ({ type, sizeBytes, nlink }: ManifestEntry): boolean =>
  type === 'file' && nlink === 1n && sizeBytes >= leastBytes && sizeBytes <= mostBytes

/** Whether what has been found to differ is worth sending while it runs: `rounds`, the bytes of each so far. */
export function anotherRound(rounds: readonly number[]): boolean {
  const last = rounds.at(-1) ?? 0
  const before = rounds.at(-2)
  return last > fewBytes && rounds.length <= mostRounds && (before === undefined || last < before * shrinking)
}

export const bytesOf = (patches: readonly Patch[]): number =>
  patches.reduce((total, { runs }) => runs.reduce((bytes, [, length]) => bytes + length, total), 0)

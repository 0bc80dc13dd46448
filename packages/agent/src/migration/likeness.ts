// From what both hosts have of a layer to what need not be sent. Pure. A file counts as the same when all that can be told of it is, its
// content by the engines' numbers of it, never by its times; of a larger file the pieces that differ are sent. Whatever isn't plainly the
// same goes with the archive: files with several names, and names that tar can't be told to leave out.

import type { Manifest } from './disk-manifest.ts'
import { type IndexEntry, numberBytes, pieceBytes, type TreeIndex } from './tree-index.ts'

export interface Patch {
  path: string
  sizeBytes: number
  mtimeNs: bigint
  /** [offset, length] of what differs, in order. */
  runs: [number, number][]
}

export interface Likeness {
  /** The destination has nothing that is of use: it begins with an empty layer. */
  startOver: boolean
  /** To be removed there first; children of a removed directory are not listed. */
  remove: string[]
  /** To be left out of the archive: they are there. */
  same: string[]
  /** As well. */
  patches: Patch[]
  reusedBytes: number
}

export const mostPatches = 512
/** They are one message. */
export const mostRuns = 4096
const noContent = '\0'.repeat(numberBytes)
/** A list for tar has one name a line, from which it takes trailing white space. */
const unlistable = /\n|[ \t\v\f\r]$/

const nothing: Likeness = { startOver: true, remove: [], same: [], patches: [], reusedBytes: 0 }

export function likenessOf(manifest: Manifest, here: TreeIndex | null, there: TreeIndex | null): Likeness {
  const root = there?.get('.')
  // An archive can give the root attributes, but take none away.
  if (!here || !there || !root || here.get('.')?.attributes !== root.attributes) return nothing
  const removed = new Set<string>()
  const likeness: Likeness = { startOver: false, remove: [], same: [], patches: [], reusedBytes: 0 }
  for (const [path, other] of there) {
    if (path === '.') continue
    const goesWithParent = removed.has(parentOf(path))
    if (!goesWithParent && mayStay(manifest.has(path) ? here.get(path) : undefined, other)) continue
    removed.add(path)
    if (!goesWithParent) likeness.remove.push(path)
  }
  for (const [path, { type, sizeBytes, mtimeNs }] of manifest) {
    const known = here.get(path)
    const other = there.get(path)
    if (type === 'directory' || type === 'socket' || !known || !other || removed.has(path)) continue
    if (known.hasOtherNames || other.hasOtherNames || unlistable.test(path)) continue
    if ((type === 'file') !== (known.kind === 'file')) continue
    if (known.facts === other.facts && known.content === other.content) {
      likeness.same.push(path)
      likeness.reusedBytes += known.sizeBytes
      continue
    }
    if (known.sizeBytes !== Number(sizeBytes) || likeness.patches.length >= mostPatches) continue
    const runs = differingRuns(known, other)
    if (runs === null || mtimeNs < 0n) continue
    likeness.patches.push({ path, sizeBytes: known.sizeBytes, mtimeNs, runs })
    likeness.reusedBytes += known.sizeBytes - runs.reduce((total, [, length]) => total + length, 0)
  }
  return likeness
}

/** A directory whose attributes differ goes with all that is in it: unpacking adds attributes, and takes none away. */
function mayStay(known: IndexEntry | undefined, other: IndexEntry): boolean {
  if (known?.kind !== other.kind) return false
  return other.kind !== 'directory' || known.attributes === other.attributes
}

/** Null: it is better sent whole. */
function differingRuns(known: IndexEntry, other: IndexEntry): [number, number][] | null {
  if (other.pieces.length === 0 || known.attributes !== other.attributes) return null
  return runsOf(known, other.pieces, { most: 0.5, mostZeros: 0 })
}

/** What to send of a file of which so much is there: at most that share of it, and so many bytes of zeros in place of a hole. Null: it would be more. */
export function runsOf(
  { pieces, sizeBytes }: IndexEntry,
  there: Buffer,
  { most, mostZeros }: { most: number; mostZeros: number },
): [number, number][] | null {
  if (pieces.length === 0) return null
  const runs: [number, number][] = []
  let bytes = 0
  let zeros = 0
  for (let at = 0; at < pieces.length; at += numberBytes) {
    const piece = pieces.toString('latin1', at, at + numberBytes)
    const theirs = at < there.length ? there.toString('latin1', at, at + numberBytes) : noContent
    if (piece === theirs) continue
    const offset = (at / numberBytes) * pieceBytes
    const length = Math.min(pieceBytes, sizeBytes - offset)
    // A hole where they have data: writing zeros would fill it.
    if (piece === noContent) zeros += length
    if (zeros > mostZeros) return null
    const last = runs.at(-1)
    if (last && last[0] + last[1] === offset) last[1] += length
    else runs.push([offset, length])
    bytes += length
  }
  return runs.length > mostRuns || bytes > sizeBytes * most ? null : runs
}

function parentOf(path: string): string {
  const slash = path.lastIndexOf('/')
  return slash === -1 ? '.' : path.slice(0, slash)
}

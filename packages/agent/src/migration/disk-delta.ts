// From two manifests to what must be done on the destination so that its layer becomes the later one. Pure. The destination
// removes first, makes the sockets (tar can't carry them), then unpacks an archive of what changed, which comes with
// - every path of a changed file with several names, so that they stay one file,
// - every directory above a changed entry, because replacing a file in it touches the directory's times there.

import type { FileNode } from '../streams/messages.ts'
import type { Manifest, ManifestEntry } from './disk-manifest.ts'

export interface DiskDelta {
  /** Children of a removed directory are not listed on their own. */
  deletions: string[]
  sockets: FileNode[]
  /** Paths to archive, parents before children. */
  archive: string[]
}

/** `except`: files that are seen to otherwise, without touching their directories. */
export function diskDelta(before: Manifest, after: Manifest, except: ReadonlySet<string> = new Set()): DiskDelta {
  const deletions = deletedPaths(before, after)
  const changed = new Set<string>()
  for (const [path, entry] of after) if (!except.has(path) && hasChanged(before.get(path), entry)) changed.add(path)
  addOtherNames(changed, after)
  for (const path of [...changed]) addParents(changed, path)
  // A removal touches its directory, which shows in the directory's own times; the root of the layer is no exception.
  const sockets: FileNode[] = []
  const archive: string[] = []
  for (const path of after.keys()) {
    if (!changed.has(path)) continue
    const entry = after.get(path) as ManifestEntry
    if (entry.type === 'socket') sockets.push({ path, mode: entry.mode, uid: entry.uid, gid: entry.gid })
    else archive.push(path)
  }
  return { deletions, sockets, archive }
}

/**
 * What is in each directory that may hold more on the destination: something was made there after the first manifest, came with the tar, and
 * was gone before the second, so that neither names it. `restless`: directories that changed between the first manifest and the tar's end.
 */
export function namesIn(before: Manifest, after: Manifest, restless: ReadonlySet<string>): Map<string, string[]> {
  const names = new Map<string, string[]>()
  if (restless.size === 0) return names
  for (const [path, { type }] of after) {
    const parent = path === '.' ? null : parentOf(path)
    const siblings = parent === null ? undefined : names.get(parent)
    siblings?.push(path.slice(path.lastIndexOf('/') + 1))
    if (type !== 'directory') continue
    // A new one came with the tar only if its parent had changed by then.
    if (restless.has(path) || (siblings !== undefined && !before.has(path))) names.set(path, [])
  }
  return names
}

export function socketsOf(manifest: Manifest): FileNode[] {
  return diskDelta(new Map(), manifest).sockets
}

export function hasChanged(before: ManifestEntry | undefined, after: ManifestEntry): boolean {
  return (
    !before ||
    before.racy ||
    before.ctimeNs !== after.ctimeNs ||
    before.ino !== after.ino ||
    before.type !== after.type ||
    before.mtimeNs !== after.mtimeNs ||
    before.sizeBytes !== after.sizeBytes ||
    before.mode !== after.mode ||
    before.uid !== after.uid ||
    before.gid !== after.gid ||
    before.rdev !== after.rdev ||
    before.nlink !== after.nlink
  )
}

/** Gone, or of another kind now: a file can't be unpacked over a directory. */
function deletedPaths(before: Manifest, after: Manifest): string[] {
  const deletions: string[] = []
  const removed = new Set<string>()
  for (const [path, entry] of before) {
    const now = after.get(path)
    if (now && now.type === entry.type) continue
    removed.add(path)
    if (!removed.has(parentOf(path))) deletions.push(path)
  }
  return deletions
}

function addOtherNames(changed: Set<string>, after: Manifest): void {
  const inodes = new Set<bigint>()
  for (const path of changed) {
    const entry = after.get(path) as ManifestEntry
    if (entry.nlink > 1n && entry.type !== 'directory') inodes.add(entry.ino)
  }
  if (inodes.size === 0) return
  for (const [path, entry] of after) if (inodes.has(entry.ino) && entry.type !== 'directory') changed.add(path)
}

function addParents(changed: Set<string>, path: string): void {
  for (let parent = parentOf(path); parent !== path && !changed.has(parent); path = parent, parent = parentOf(path)) {
    changed.add(parent)
  }
}

export function parentOf(path: string): string {
  const slash = path.lastIndexOf('/')
  return slash === -1 ? '.' : path.slice(0, slash)
}

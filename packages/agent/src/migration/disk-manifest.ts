// What a container's writable layer holds, as facts that change when a file does: two manifests, one before the pre-copy and one after the
// freeze, tell what must be sent again. File names are bytes, kept as latin1 strings. The scan is synchronous in slices: an
// lstat costs 3 µs this way and ten times that as a promise, and this runs during the blackout.

import { type BigIntStats, lstatSync, readdirSync } from 'node:fs'
import { DroverError } from '@drover/protocol'

export interface ManifestEntry {
  type: 'file' | 'directory' | 'symlink' | 'device' | 'fifo' | 'socket'
  mode: number
  uid: number
  gid: number
  sizeBytes: bigint
  mtimeNs: bigint
  ctimeNs: bigint
  rdev: bigint
  ino: bigint
  nlink: bigint
  /** Changed so shortly before it was looked at that a second change could leave the same time stamp. */
  racy: boolean
}

/** By path relative to the layer's root; the root itself is '.'. Parents come before their children. */
export type Manifest = Map<string, ManifestEntry>

/** Time stamps advance by the kernel's tick, 4 or 10 ms; within two of them a change may leave no trace. */
const racyWindowNs = 20_000_000n
const entriesPerSlice = 512

export async function scanManifest(root: string, signal?: AbortSignal): Promise<Manifest> {
  const manifest: Manifest = new Map()
  const startedNs = BigInt(Date.now()) * 1_000_000n
  const pending = ['.']
  let inSlice = 0
  while (pending.length > 0) {
    const path = pending.pop() as string
    const entry = look(root, path, startedNs)
    if (!entry) continue
    manifest.set(path, entry)
    if (entry.type === 'directory') for (const name of list(root, path)) pending.push(join(path, name))
    if (++inSlice % entriesPerSlice === 0) {
      if (signal?.aborted) throw new DroverError('CANCELLED', `scan ${root}: the migration ended`)
      await new Promise(setImmediate)
    }
  }
  return manifest
}

/** Directories of an earlier manifest in which something may have come or gone since. */
export function restlessDirectories(root: string, manifest: Manifest): Set<string> {
  const restless = new Set<string>()
  for (const [path, { type, racy, ctimeNs }] of manifest) {
    if (type !== 'directory') continue
    const now = look(root, path, 0n)
    if (racy || now?.ctimeNs !== ctimeNs) restless.add(path)
  }
  return restless
}

/** Bytes of its files, each counted once however many names it has. */
export function sizeOf(manifest: Manifest): number {
  let total = 0
  const counted = new Set<bigint>()
  for (const { type, sizeBytes, nlink, ino } of manifest.values()) {
    if (type !== 'file' || counted.has(ino)) continue
    if (nlink > 1n) counted.add(ino)
    total += Number(sizeBytes)
  }
  return total
}

/** The bytes of a manifest path below `root`, as the file system wants them. */
export function pathBytes(root: string, path: string): Buffer {
  return path === '.' ? Buffer.from(root) : Buffer.concat([Buffer.from(`${root}/`), Buffer.from(path, 'latin1')])
}

function join(parent: string, name: string): string {
  return parent === '.' ? name : `${parent}/${name}`
}

function look(root: string, path: string, startedNs: bigint): ManifestEntry | null {
  let stats: BigIntStats
  try {
    stats = lstatSync(pathBytes(root, path), { bigint: true })
  } catch (error) {
    if (isGone(error) && path !== '.') return null
    throw new DroverError('INTERNAL', `scan ${root}: ${(error as Error).message}`, { cause: error })
  }
  return {
    type: typeOf(stats),
    mode: Number(stats.mode & 0o7777n),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    sizeBytes: stats.size,
    mtimeNs: stats.mtimeNs,
    ctimeNs: stats.ctimeNs,
    rdev: stats.rdev,
    ino: stats.ino,
    nlink: stats.nlink,
    racy: stats.ctimeNs > startedNs - racyWindowNs,
  }
}

function list(root: string, path: string): string[] {
  try {
    return readdirSync(pathBytes(root, path), { encoding: 'latin1' })
  } catch (error) {
    // Removed or replaced since it was looked at: the scan after the freeze sees what it became.
    if (isGone(error)) return []
    throw new DroverError('INTERNAL', `scan ${root}: ${(error as Error).message}`, { cause: error })
  }
}

function isGone(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code
  return code === 'ENOENT' || code === 'ENOTDIR'
}

function typeOf(stats: BigIntStats): ManifestEntry['type'] {
  if (stats.isFile()) return 'file'
  if (stats.isDirectory()) return 'directory'
  if (stats.isSymbolicLink()) return 'symlink'
  if (stats.isFIFO()) return 'fifo'
  if (stats.isSocket()) return 'socket'
  return 'device'
}

// A writable layer copied as it is, with whiteouts, attributes, hard links and holes: the same archive as a move's, from one directory to
// another. A container that runs is copied while it runs, and stands still only while what has changed since is copied again.

import { rmSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { makeSockets, removePaths } from '../migration/apply-delta.ts'
import { type DiskDelta, diskDelta, socketsOf } from '../migration/disk-delta.ts'
import { type Manifest, pathBytes, scanManifest } from '../migration/disk-manifest.ts'
import { startDeltaArchive, startExtraction, startPrecopyArchive, type TarProcess } from '../migration/tar-process.ts'
import { syncFileSystem } from '../sync-file-system.ts'
import type { Scope } from './scope.ts'

export interface TreeCopy {
  from: string
  to: string
  /** As it was when the copying began. */
  before: Manifest
  archive: TarProcess
  extraction: TarProcess
}

/** Makes `to` and copies everything; with `live`, writers may be at work. The processes for the rest are started. */
export async function copyTree(scope: Scope, from: string, to: string, live: boolean): Promise<TreeCopy> {
  await rm(to, { recursive: true, force: true })
  await mkdir(to, { recursive: true, mode: 0o700 })
  const before = await scanManifest(from, scope.signal)
  // A dirty page of a shared mapping can be written again without its file's times changing; once it is clean, it shows.
  if (live) await syncFileSystem(from, scope.signal)
  await makeSockets(to, socketsOf(before))
  await pipe(startPrecopyArchive(scope, from), startExtraction(scope, to))
  return { from, to, before, archive: startDeltaArchive(scope, from), extraction: startExtraction(scope, to) }
}

/** What has changed since; nobody may write now. Returns the final manifest. */
export async function copyChanges(scope: Scope, copy: TreeCopy): Promise<{ after: Manifest; delta: DiskDelta }> {
  const { from, to, before, archive, extraction } = copy
  const after = await scanManifest(from, scope.signal)
  const delta = diskDelta(before, after)
  await removePaths(to, delta.deletions)
  await makeSockets(to, delta.sockets)
  if (delta.archive.length === 0) {
    archive.kill()
    extraction.kill()
    return { after, delta }
  }
  const names = delta.archive.map((path) => Buffer.concat([pathBytes('.', path), Buffer.from([0])]))
  const named = archive.write(Buffer.concat(names)).then(() => archive.endInput())
  await Promise.all([named, pipe(archive, extraction)])
  return { after, delta }
}

export async function pipe(archive: TarProcess, extraction: TarProcess): Promise<void> {
  for await (const chunk of archive.output()) await extraction.write(chunk)
  await archive.done()
  await extraction.done()
}

/** Bytes of all files, each once however many names it has. */
export function sizeOf(manifest: Manifest): number {
  const seen = new Set<bigint>()
  let bytes = 0n
  for (const { type, ino, sizeBytes } of manifest.values()) {
    if (type !== 'file' || seen.has(ino)) continue
    seen.add(ino)
    bytes += sizeBytes
  }
  return Number(bytes)
}

export const discard = (directory: string) => () => rmSync(directory, { recursive: true, force: true })

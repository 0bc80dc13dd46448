// One archive onto a directory that becomes a root file system, through the guard: GNU tar unpacks only what the guard has let
// through and written anew, so that no name, link or attribute reaches it as the archive had it. Whiteouts of the layers of OCI images
// (`.wh.NAME`) and of overlayfs (0:0 device nodes, opaque directories) take away what lower layers brought.

import { type FileHandle, open, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { startExtraction } from '../migration/tar-process.ts'
import { Scope } from '../snapshots/scope.ts'
import type { GuardOptions, TarGuard } from './tar-guard.ts'
import { badArchive, readTar, type TarEntry } from './tar-reader.ts'
import { tarEnd, tarHeader, tarPadding } from './tar-writer.ts'

export interface LayerOptions extends GuardOptions {
  /** How it says that something of a lower layer is gone. */
  whiteouts?: 'oci' | 'overlay'
  signal?: AbortSignal
}

const pieceBytes = 1 << 20
const ociPrefix = '.wh.'
const ociOpaque = '.wh..wh..opq'

/** Puts the archive's files below `directory`; `guard` is one for all layers of it. */
export async function applyLayer(
  archive: string,
  directory: string,
  guard: TarGuard,
  what: string,
  options: LayerOptions = {},
): Promise<void> {
  const file = await open(archive, 'r')
  const scope = new Scope()
  try {
    if (options.whiteouts) {
      for await (const entry of readTar(file, what)) await removeLower(entry, directory, guard, options)
    }
    await extract(scope, file, directory, guard, what, options)
  } finally {
    await scope.close()
    await file.close()
  }
}

async function extract(
  scope: Scope,
  file: FileHandle,
  directory: string,
  guard: TarGuard,
  what: string,
  options: LayerOptions,
): Promise<void> {
  const extraction = startExtraction(scope, directory)
  for await (const entry of readTar(file, what)) {
    options.signal?.throwIfAborted()
    if (isWhiteout(entry, options)) continue
    const admitted = guard.admit(entry, options)
    if (admitted === null) continue
    await extraction.write(tarHeader(admitted))
    for (let done = 0; done < admitted.sizeBytes; ) {
      const wanted = Math.min(pieceBytes, admitted.sizeBytes - done)
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(wanted), 0, wanted, admitted.offset + done)
      if (bytesRead === 0)
        throw badArchive(what, `it ends in the middle of ${JSON.stringify(entry.path.slice(0, 200))}`)
      await extraction.write(buffer.subarray(0, bytesRead))
      done += bytesRead
    }
    await extraction.write(tarPadding(admitted.sizeBytes))
  }
  await extraction.write(tarEnd())
  await extraction.done()
}

function isWhiteout(entry: TarEntry, { whiteouts }: LayerOptions): boolean {
  if (whiteouts === 'oci') return nameOf(entry.path).startsWith(ociPrefix)
  return whiteouts === 'overlay' && entry.type === 'character' && entry.deviceMajor === 0 && entry.deviceMinor === 0
}

async function removeLower(entry: TarEntry, directory: string, guard: TarGuard, options: LayerOptions): Promise<void> {
  const parts = entry.path.split('/').filter((part) => part !== '' && part !== '.')
  // The guard refuses such a name when it comes to it.
  if (parts.includes('..') || entry.path.startsWith('/')) return
  const opaque =
    options.whiteouts === 'oci'
      ? nameOf(entry.path) === ociOpaque && parts.slice(0, -1)
      : entry.attributes.get('trusted.overlay.opaque')?.toString() === 'y' && parts
  if (opaque) {
    const path = opaque.length === 0 ? '' : guard.resolve([...opaque, '.'])
    const folder = Buffer.from(join(directory, path), 'latin1')
    const names = await readdir(folder, { encoding: 'latin1' }).catch(() => [])
    for (const name of names) await take(directory, join(path, name), guard)
  } else if (isWhiteout(entry, options)) {
    const name = parts.at(-1) ?? ''
    const gone = options.whiteouts === 'oci' ? name.slice(ociPrefix.length) : name
    if (gone !== '' && gone !== '.' && gone !== '..')
      await take(directory, guard.resolve([...parts.slice(0, -1), gone]), guard)
  }
}

/** `path` has no link in it but perhaps its last part, which is removed and not followed. */
async function take(directory: string, path: string, guard: TarGuard): Promise<void> {
  await rm(Buffer.from(join(directory, path), 'latin1'), { recursive: true, force: true })
  guard.forget(path)
}

const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1)

// Pieces of one larger file: read where a container may be at work, written where nothing runs yet. Neither follows a symbolic link.

import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { DroverError } from '@drover/protocol'
import { runCommand } from '../images/run-command.ts'
import type { Patch } from './likeness.ts'

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = constants
const readBytes = 256 << 10
const touchDeadlineMs = 60_000

/** Step by step, so that a directory that becomes a link meanwhile leads nowhere. Null: there is no such regular file. */
export async function openFileBeneath(
  root: string,
  path: string,
  flags = O_RDONLY,
  mode?: number,
): Promise<FileHandle | null> {
  const names = path.split('/')
  const last = names.pop() as string
  let directory: FileHandle | null = null
  try {
    directory = await open(root, O_RDONLY | O_DIRECTORY)
    for (const name of names) {
      const next: FileHandle = await open(within(directory, name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
      await directory.close()
      directory = next
    }
    const file = await open(within(directory, last), flags | O_NOFOLLOW | O_NONBLOCK, mode)
    if ((await file.stat()).isFile()) return file
    await file.close()
    return null
  } catch {
    return null
  } finally {
    await directory?.close()
  }
}

/** What the file has no more is zeros: it has changed, and comes again. */
export async function* readRun(file: FileHandle, offset: number, length: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < length; ) {
    const piece = Buffer.alloc(Math.min(readBytes, length - at))
    await file.read(piece, 0, piece.length, offset + at)
    yield piece
    at += piece.length
  }
}

/** The bytes of a patch's runs, one after the other; null at their end. */
export type NextBytes = () => Promise<Buffer | null>

export async function applyPatch(upper: string, patch: Patch, next: NextBytes): Promise<void> {
  await writePatch(upper, patch, next, (file) => setTime(file, patch.mtimeNs))
}

/** All but the time. */
export async function writePatch(
  upper: string,
  patch: Omit<Patch, 'mtimeNs'>,
  next: NextBytes,
  after?: (file: FileHandle) => Promise<void>,
): Promise<void> {
  const { path } = patch
  mustLieInLayer(path)
  const file = await openFileBeneath(upper, path, O_RDWR)
  if (!file) throw refused(path, 'is no file here')
  try {
    if ((await file.stat()).nlink !== 1) throw refused(path, 'has other names here')
    await fill(file, patch, next)
    await after?.(file)
  } finally {
    await file.close()
  }
}

export interface NewFile {
  mode: number
  uid: number
  gid: number
}

/** As far as it can be done now: what is at the path may be anything by the time that it is looked at again. */
export async function writePatchAhead(
  upper: string,
  patch: Omit<Patch, 'mtimeNs'>,
  create: NewFile | undefined,
  next: NextBytes,
): Promise<void> {
  mustLieInLayer(patch.path)
  const there = await openFileBeneath(upper, patch.path, O_RDWR)
  const file = there ?? (create ? await createBeneath(upper, patch.path, create) : null)
  try {
    if (file && (await file.stat()).nlink === 1) await fill(file, patch, next)
    else for (let data = await next(); data !== null; ) data = await next()
  } finally {
    await file?.close()
  }
}

async function createBeneath(upper: string, path: string, { mode, uid, gid }: NewFile): Promise<FileHandle | null> {
  const file = await openFileBeneath(upper, path, O_RDWR | O_CREAT | O_EXCL, 0o600)
  if (process.getuid?.() === 0) await file?.chown(uid, gid)
  await file?.chmod(mode)
  return file
}

function mustLieInLayer(path: string): void {
  if (path.split('/').some((name) => name === '' || name === '.' || name === '..') || path.includes('\0'))
    throw refused(path, 'does not lie in the layer')
}

async function fill(
  file: FileHandle,
  { path, sizeBytes, runs }: Omit<Patch, 'mtimeNs'>,
  next: NextBytes,
): Promise<void> {
  await file.truncate(sizeBytes)
  const left = runs.map(([offset, length]) => ({ offset, length }))
  for (let data = await next(); data !== null; data = await next()) await write(file, data, left, path)
  if (left.length > 0) throw refused(path, `lacks ${left.length} pieces`)
}

async function write(
  file: FileHandle,
  data: Buffer,
  left: { offset: number; length: number }[],
  path: string,
): Promise<void> {
  for (let from = 0; from < data.length; ) {
    const run = left[0]
    if (!run) throw refused(path, 'has more pieces than it says')
    const length = Math.min(run.length, data.length - from)
    await file.write(data, from, length, run.offset)
    from += length
    run.offset += length
    run.length -= length
    if (run.length === 0) left.shift()
  }
}

/** By a program: Node has times as floating-point seconds, which end at some hundred nanoseconds. */
async function setTime(file: FileHandle, mtimeNs: bigint): Promise<void> {
  const billion = 1_000_000_000n
  const date = `@${mtimeNs / billion}.${String(mtimeNs % billion).padStart(9, '0')}`
  const path = `/proc/${process.pid}/fd/${file.fd}`
  await runCommand('touch', ['--no-create', '-m', `--date=${date}`, path], { deadlineMs: touchDeadlineMs })
}

const within = ({ fd }: FileHandle, name: string): Buffer =>
  Buffer.concat([Buffer.from(`/proc/self/fd/${fd}/`), Buffer.from(name, 'latin1')])

const refused = (path: string, why: string) =>
  new DroverError('BAD_REQUEST', `patch of ${JSON.stringify(path.slice(0, 80))}: it ${why}`)

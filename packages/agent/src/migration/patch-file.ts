// Pieces of one larger file: read where a container may be at work, written where nothing runs yet. Neither follows a symbolic link.

import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { DroverError } from '@drover/protocol'
import { runCommand } from '../images/run-command.ts'
import type { Patch } from './likeness.ts'

const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = constants
const readBytes = 256 << 10
const touchDeadlineMs = 60_000

/** Step by step, so that a directory that becomes a link meanwhile leads nowhere. Null: there is no such regular file. */
export async function openFileBeneath(root: string, path: string, flags = O_RDONLY): Promise<FileHandle | null> {
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
    const file = await open(within(directory, last), flags | O_NOFOLLOW | O_NONBLOCK)
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

/** `next`: the bytes of its runs, one after the other; null at their end. */
export async function applyPatch(upper: string, patch: Patch, next: () => Promise<Buffer | null>): Promise<void> {
  const { path, sizeBytes, mtimeNs, runs } = patch
  if (path.split('/').some((name) => name === '' || name === '.' || name === '..') || path.includes('\0'))
    throw refused(path, 'does not lie in the layer')
  const file = await openFileBeneath(upper, path, O_RDWR)
  if (!file) throw refused(path, 'is no file here')
  try {
    if ((await file.stat()).nlink !== 1) throw refused(path, 'has other names here')
    await file.truncate(sizeBytes)
    const left = runs.map(([offset, length]) => ({ offset, length }))
    for (let data = await next(); data !== null; data = await next()) await write(file, data, left, path)
    if (left.length > 0) throw refused(path, `lacks ${left.length} pieces`)
    await setTime(file, mtimeNs)
  } finally {
    await file.close()
  }
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

// `CONTAINER:/path` on the command line, and what file commands share: the walk over a tree, pieces of files, bounded parallelism.

import type { DroverClient } from '@drover/client'
import type { FileEntry, FileStatus } from '@drover/protocol'
import { DroverError } from '@drover/protocol/plain'
import { InvalidArgumentError } from 'commander'
import { parseName } from './names.ts'

export interface FilePlace {
  container: string
  /** Absolute. */
  path: string
}

export function parsePlace(text: string): FilePlace {
  const colon = text.indexOf(':')
  const path = text.slice(colon + 1)
  if (colon < 1 || !path.startsWith('/')) {
    throw new InvalidArgumentError(`${JSON.stringify(text)} is no place in a container: write NAME:/PATH.`)
  }
  return { container: parseName(text.slice(0, colon)), path }
}

/** `755`, octal as for chmod. */
export function parseMode(text: string): number {
  if (!/^0?[0-7]{3,4}$/.test(text)) {
    throw new InvalidArgumentError(`${JSON.stringify(text)} is not a mode: write octal digits, e.g. 644.`)
  }
  return Number.parseInt(text, 8)
}

/** Piece of one call: base64 of it, with the rest of the call, fits into a body of 1 MiB. */
export const pieceBytes = 512 << 10
/** Files of a tree that are under way at once. */
const mostAtOnce = 8

/** Null: nothing is there. */
export async function statusOf(
  client: DroverClient,
  { container, path }: FilePlace,
  follow = true,
): Promise<FileStatus | null> {
  try {
    return await client.inside(container, 'fileStat', { path, follow })
  } catch (error) {
    if (error instanceof DroverError && error.code === 'FILE_NOT_FOUND') return null
    throw error
  }
}

/** All entries of a directory, by name. */
export async function entriesOf(client: DroverClient, { container, path }: FilePlace): Promise<FileEntry[]> {
  const entries: FileEntry[] = []
  let after: string | null = null
  do {
    const part: { entries: FileEntry[]; next: string | null } = await client.inside(container, 'fileList', {
      path,
      after,
    })
    entries.push(...part.entries)
    after = part.next
  } while (after !== null)
  return entries
}

/** The content of a file, piece by piece. */
export async function* readPieces(client: DroverClient, { container, path }: FilePlace): AsyncGenerator<Buffer> {
  for (let offset = 0; ; ) {
    const { dataBase64 } = await client.inside(container, 'fileRead', { path, offset, limit: pieceBytes })
    const data = Buffer.from(dataBase64, 'base64')
    if (data.length > 0) yield data
    offset += data.length
    if (data.length < pieceBytes) return
  }
}

export interface Owner {
  mode: number | null
  uid: number | null
  gid: number | null
}
export const noOwner: Owner = { mode: null, uid: null, gid: null }

/** Writes what the source gives, from the beginning; the file then ends there. Gives the bytes written. */
export async function writePieces(
  client: DroverClient,
  { container, path }: FilePlace,
  source: AsyncIterable<Buffer>,
  owner: Owner,
): Promise<number> {
  let offset = 0
  const write = async (data: Buffer) => {
    const dataBase64 = data.toString('base64')
    await client.inside(container, 'fileWrite', { path, offset, dataBase64, truncate: true, ...owner })
    offset += data.length
  }
  let held: Buffer = Buffer.alloc(0)
  for await (const chunk of source) {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk])
    for (; held.length >= pieceBytes; held = held.subarray(pieceBytes)) await write(held.subarray(0, pieceBytes))
  }
  if (held.length > 0 || offset === 0) await write(held)
  return offset
}

/** Runs the jobs, several at once; the first failure ends it. */
export async function inParallel<Job>(jobs: readonly Job[], work: (job: Job) => Promise<void>): Promise<void> {
  let next = 0
  const worker = async () => {
    for (let job = jobs[next++]; job !== undefined; job = jobs[next++]) await work(job)
  }
  await Promise.all(Array.from({ length: Math.min(mostAtOnce, jobs.length) }, worker))
}

/** `drwxr-xr-x` */
export function modeText({ type, mode }: Pick<FileStatus, 'type' | 'mode'>): string {
  const letter = { directory: 'd', symlink: 'l', 'character-device': 'c', 'block-device': 'b', fifo: 'p', socket: 's' }
  const bits = [...'rwxrwxrwx'].map((bit, index) => (mode & (0o400 >> index) ? bit : '-'))
  if (mode & 0o4000) bits[2] = bits[2] === 'x' ? 's' : 'S'
  if (mode & 0o2000) bits[5] = bits[5] === 'x' ? 's' : 'S'
  if (mode & 0o1000) bits[8] = bits[8] === 'x' ? 't' : 'T'
  return `${letter[type as 'fifo'] ?? '-'}${bits.join('')}`
}

// A checkpoint's image files, from one tmpfs to the other. Small ones (most of CRIU's forty) go out together in one write; writing on tmpfs is
// copying memory, so it is done synchronously, sooner than a trip through the thread pool.

import { createHash } from 'node:crypto'
import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { open } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { DroverError } from '@drover/protocol'
import { maxPayloadBytes } from '../streams/messages.ts'
import type { StreamConnection } from '../streams/stream-connection.ts'

const smallFileBytes = 256 << 10
const namePattern = /^[A-Za-z0-9._-]{1,200}$/

/** Sends every file of `directory` (flat: CRIU makes no sub-directories); returns the bytes. */
export async function sendMemoryFiles(connection: StreamConnection, directory: string): Promise<number> {
  let total = 0
  const large: [name: string, sizeBytes: number][] = []
  const sent: Promise<void>[] = []
  connection.cork()
  for (const name of readdirSync(directory)) {
    const stats = statSync(join(directory, name))
    if (!stats.isFile()) continue
    total += stats.size
    if (stats.size > smallFileBytes) {
      large.push([name, stats.size])
      continue
    }
    sent.push(connection.sendMessage({ kind: 'memory-file', path: name, sizeBytes: stats.size }))
    if (stats.size > 0) sent.push(connection.sendData(readFileSync(join(directory, name))))
  }
  connection.uncork()
  await Promise.all(sent)
  for (const [name, sizeBytes] of large) await sendLarge(connection, join(directory, name), name, sizeBytes)
  return total
}

async function sendLarge(connection: StreamConnection, path: string, name: string, sizeBytes: number): Promise<void> {
  await connection.sendMessage({ kind: 'memory-file', path: name, sizeBytes })
  const file = await open(path, 'r')
  try {
    for (;;) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(maxPayloadBytes), 0, maxPayloadBytes, null)
      if (bytesRead === 0) return
      await connection.sendData(buffer.subarray(0, bytesRead))
    }
  } finally {
    await file.close()
  }
}

/** Takes the files one after the other as their frames come. */
export class MemoryFileWriter {
  readonly #directory: string
  #fd = -1
  #left = 0
  bytes = 0

  constructor(directory: string) {
    this.#directory = directory
  }

  /** Whether the next data frames belong to a file. */
  get open(): boolean {
    return this.#left > 0
  }

  begin(name: string, sizeBytes: number): void {
    if (!namePattern.test(name) || name.startsWith('..')) {
      throw new DroverError(
        'BAD_REQUEST',
        `checkpoint file ${JSON.stringify(name.slice(0, 80))}: not a plain file name`,
      )
    }
    if (this.open)
      throw new DroverError('BAD_REQUEST', `checkpoint file ${name}: the one before lacks ${this.#left} bytes`)
    const flags = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | constants.O_NOFOLLOW
    this.#fd = openSync(join(this.#directory, name), flags, 0o644)
    this.#left = sizeBytes
    if (sizeBytes === 0) this.close()
  }

  write(data: Buffer): void {
    if (data.length > this.#left) throw new DroverError('BAD_REQUEST', 'checkpoint file: more data than it said')
    for (let written = 0; written < data.length; ) written += writeSync(this.#fd, data, written)
    this.#left -= data.length
    this.bytes += data.length
    if (this.#left === 0) this.close()
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd)
    this.#fd = -1
  }
}

/** <root>/<operation>/images: 0755 inside a 0700 parent, as CRIU with a user namespace needs it. An old one goes. */
export function checkpointDirectory(
  root: string,
  operation: string,
  make: boolean,
): { directory: string; remove: () => void } {
  if (!namePattern.test(operation)) {
    throw new DroverError('BAD_REQUEST', `operation id ${JSON.stringify(operation.slice(0, 80))} is no plain name`)
  }
  const parent = join(root, operation)
  rmSync(parent, { recursive: true, force: true })
  mkdirSync(parent, { recursive: true, mode: 0o700 })
  const directory = join(parent, 'images')
  if (make) mkdirSync(directory, { mode: 0o755 })
  return { directory, remove: () => rmSync(parent, { recursive: true, force: true }) }
}

/** /run is a tmpfs on any system with an init; the name keeps agents apart that share one. Without root: among the agent's data. */
export function checkpointRootFor(dataDirectory: string): string {
  if (process.getuid?.() !== 0) return join(dataDirectory, 'checkpoints')
  const agent = createHash('sha256').update(resolve(dataDirectory)).digest('hex').slice(0, 12)
  return join('/run/drover', `checkpoints-${agent}`)
}

// A checkpoint's image files, from one tmpfs to the other: first the list, then all bytes in its order, in as few frames as they fit
// in (most of CRIU's forty files are tiny). Reading and writing on tmpfs is copying memory, so it is done synchronously, which is sooner
// than a trip through the thread pool; between frames the event loop has its turn.

import { closeSync, constants, openSync, readdirSync, readSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { DroverError } from '@drover/protocol'
import { type MemoryFile, StreamFrameType, type StreamMessage } from '../streams/messages.ts'
import type { StreamConnection } from '../streams/stream-connection.ts'
import { imagePath, type PagesAhead, type WrittenPages } from './pages-ahead.ts'

/** So that a list always fits into one message. */
const filesPerList = 2_000
/** The log is the source's, if it is kept at all; the statistics are written when the dump is over, and read by nobody. */
const staysHere = new Set(['criu.log', 'stats-dump'])
/** The last of it, and a small checkpoint is nothing else, goes in small frames: one is written there while the next is read here. */
const endBytes = 1 << 20
const endFrameBytes = 64 << 10

/** Sends every file of `directory` (flat: CRIU makes no sub-directories); returns the bytes. */
export async function sendMemoryFiles(
  connection: StreamConnection,
  directory: string,
  ahead: Pick<PagesAhead, 'sentOf'> | null = null,
): Promise<number> {
  const files = listFiles(directory).map((file) => {
    const sentBytes = ahead?.sentOf(file.name) ?? 0
    return sentBytes === 0 ? file : { ...file, sentBytes }
  })
  for (let from = 0; from < files.length; from += filesPerList) {
    const list = files.slice(from, from + filesPerList)
    // Its end may still be on its way: what follows goes behind it.
    void (await handFiles(connection, directory, list, { kind: 'memory', files: list })).room.catch(() => {})
  }
  return files.reduce((total, { sizeBytes }) => total + sizeBytes, 0)
}

export function listFiles(directory: string): MemoryFile[] {
  const files: MemoryFile[] = []
  for (const name of readdirSync(directory)) {
    if (staysHere.has(name)) continue
    const stats = statSync(join(directory, name))
    if (stats.isFile()) files.push({ name, sizeBytes: stats.size })
  }
  return files
}

/** The message that lists them, then their bytes. */
export async function sendFilesAs(
  connection: StreamConnection,
  directory: string,
  files: MemoryFile[],
  message: StreamMessage,
): Promise<void> {
  await (await handFiles(connection, directory, files, message)).room
}

/** Resolves when the last frame is the socket's; `room`: when that has gone. */
async function handFiles(
  connection: StreamConnection,
  directory: string,
  files: MemoryFile[],
  message: StreamMessage,
): Promise<{ room: Promise<void> }> {
  let left = files.reduce((total, { sizeBytes, sentBytes = 0 }) => total + sizeBytes - sentBytes, 0)
  // Not awaited: the first data shall go out in the same write.
  let room = connection.sendMessage(message)
  let frame = Buffer.allocUnsafe(frameFor(connection, left))
  let filled = 0
  for (const { name, sizeBytes, sentBytes = 0 } of files) {
    if (sentBytes === sizeBytes) continue
    const fd = openSync(join(directory, name), 'r')
    try {
      for (let at = sentBytes; at < sizeBytes; ) {
        const read = readSync(fd, frame, filled, Math.min(frame.length - filled, sizeBytes - at), at)
        if (read === 0) throw new DroverError('TRANSFER_FAILED', `checkpoint file ${name}: it became shorter`)
        at += read
        filled += read
        left -= read
        if (filled < frame.length) continue
        await room
        room = connection.send(StreamFrameType.data, frame)
        // A new one: the socket may still hold the last.
        frame = Buffer.allocUnsafe(frameFor(connection, left))
        filled = 0
      }
    } finally {
      closeSync(fd)
    }
  }
  return { room }
}

const frameFor = (connection: StreamConnection, left: number): number =>
  Math.min(left, left > endBytes ? connection.frameBytes : endFrameBytes, connection.frameBytes)

/** Takes the bytes of a list of files as their frames come. */
export class MemoryFileWriter {
  readonly #directory: string
  readonly #written: WrittenPages | null
  #files: MemoryFile[] = []
  #fd = -1
  #left = 0

  /** `written`: what came while the dump was writing. */
  constructor(directory: string, written: WrittenPages | null = null) {
    this.#directory = directory
    this.#written = written
  }

  /** Whether the next data frames belong to a file. */
  get open(): boolean {
    return this.#fd >= 0
  }

  begin(files: MemoryFile[]): void {
    this.#files = [...files].reverse()
    this.#next()
  }

  write(data: Buffer): void {
    for (let at = 0; at < data.length; ) {
      if (!this.open) throw new DroverError('BAD_REQUEST', 'checkpoint files: more data than their list says')
      const written = writeSync(this.#fd, data, at, Math.min(this.#left, data.length - at))
      at += written
      this.#left -= written
      if (this.#left === 0) this.#next()
    }
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd)
    this.#fd = -1
  }

  /** Opens the next file that has bytes; empty ones are only made. */
  #next(): void {
    do {
      this.close()
      const file = this.#files.pop()
      if (!file) return
      const { name, sizeBytes, sentBytes = 0 } = file
      this.#fd = this.#written?.take(name, sentBytes) ?? openNew(this.#directory, name, sentBytes)
      this.#left = sizeBytes - sentBytes
      if (this.#left < 0)
        throw new DroverError(
          'BAD_REQUEST',
          `checkpoint file ${name}: ${sentBytes} of ${sizeBytes} bytes were sent before`,
        )
    } while (this.#left === 0)
  }
}

function openNew(directory: string, name: string, sentBytes: number): number {
  if (sentBytes > 0) throw new DroverError('BAD_REQUEST', `checkpoint file ${name}: nothing of it came before`)
  const flags = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | constants.O_NOFOLLOW
  return openSync(imagePath(directory, name), flags, 0o644)
}

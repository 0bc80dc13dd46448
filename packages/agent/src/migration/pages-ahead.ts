// The pages of a dump while CRIU still writes it. They are most of a small checkpoint, and CRIU has written them long before it is done with
// namespaces, files and sockets; sent meanwhile, they are there when the rest comes. CRIU only ever appends to a file of pages, so what has
// been read of it stands. A dump that is made anew makes new files: what was sent of the old ones is void then, and sent anew.

import { closeSync, constants, fstatSync, openSync, readdirSync, readSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { DroverError } from '@drover/protocol'
import { StreamFrameType } from '../streams/messages.ts'
import type { StreamConnection } from '../streams/stream-connection.ts'

/** A look costs two system calls for each file; a dump takes some twenty milliseconds. */
const lookEveryMs = 2
/** Less would be a message for next to nothing. */
const leastBytes = 16 << 10
const pagesPattern = /^pages-[0-9]{1,10}\.img$/
const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/

interface Followed {
  fd: number
  sentBytes: number
}

/** The source's side. */
export class PagesAhead {
  readonly #connection: StreamConnection
  readonly #directory: string
  readonly #files = new Map<string, Followed>()
  readonly #stop = new AbortController()
  #closed = false
  #following: Promise<void> = Promise.resolve()

  constructor(connection: StreamConnection, directory: string) {
    this.#connection = connection
    this.#directory = directory
  }

  /** Sends what is written, until stop(): nobody else may send meanwhile. What goes wrong here is for the dump, or the next to send, to tell. */
  follow(): void {
    this.#following = this.#follow().catch(() => this.#stop.abort())
  }

  /** Resolves when the connection is free. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#following
  }

  /** How much of the file that has this name now was sent. */
  sentOf(name: string): number {
    const file = this.#files.get(name)
    if (!file) return 0
    return statSync(join(this.#directory, name)).ino === fstatSync(file.fd).ino ? file.sentBytes : 0
  }

  close(): void {
    this.#closed = true
    this.#stop.abort()
    for (const { fd } of this.#files.values()) closeSync(fd)
    this.#files.clear()
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stop
    for (;;) {
      await pause(lookEveryMs, undefined, { signal })
      for (const name of this.#names()) {
        if (signal.aborted) return
        await this.#sendNews(name)
      }
    }
  }

  /** The engine makes the directory. */
  #names(): string[] {
    try {
      return readdirSync(this.#directory).filter((name) => pagesPattern.test(name))
    } catch {
      return []
    }
  }

  async #sendNews(name: string): Promise<void> {
    const file = this.#open(name)
    const sizeBytes = fstatSync(file.fd).size
    if (sizeBytes - file.sentBytes < leastBytes) return
    const news = { kind: 'written', name, from: file.sentBytes, sizeBytes: sizeBytes - file.sentBytes }
    let room = this.#connection.sendMessage(news)
    while (file.sentBytes < sizeBytes) {
      const frame = Buffer.allocUnsafe(Math.min(sizeBytes - file.sentBytes, this.#connection.frameBytes))
      const read = readSync(file.fd, frame, 0, frame.length, file.sentBytes)
      if (read < frame.length) throw new DroverError('TRANSFER_FAILED', `checkpoint file ${name}: it became shorter`)
      await room
      if (this.#closed) return
      room = this.#connection.send(StreamFrameType.data, frame)
      file.sentBytes += read
    }
    await room
  }

  #open(name: string): Followed {
    const known = this.#files.get(name)
    if (known && fstatSync(known.fd).nlink > 0) return known
    const file = { fd: openSync(join(this.#directory, name), 'r'), sentBytes: 0 }
    if (known) closeSync(known.fd)
    this.#files.set(name, file)
    return file
  }
}

/** The destination's side. */
export class WrittenPages {
  readonly #directory: string
  readonly #files = new Map<string, { fd: number; bytes: number }>()
  #now: { fd: number; bytes: number } | null = null
  #left = 0

  constructor(directory: string) {
    this.#directory = directory
  }

  /** Whether the next data frames are of a file of pages. */
  get open(): boolean {
    return this.#left > 0
  }

  begin({ name, from, sizeBytes }: { name: string; from: number; sizeBytes: number }): void {
    if (!pagesPattern.test(name))
      throw new DroverError('BAD_REQUEST', `checkpoint file ${shown(name)}: no file of pages`)
    const known = this.#files.get(name)
    if (from !== 0 && from !== known?.bytes) {
      throw new DroverError(
        'BAD_REQUEST',
        `checkpoint file ${name}: ${from} bytes are before this, and ${known?.bytes ?? 0} came`,
      )
    }
    this.#now = from === 0 ? this.#make(name) : (known ?? null)
    this.#left = sizeBytes
  }

  write(data: Buffer): void {
    const file = this.#now
    if (!file || data.length > this.#left)
      throw new DroverError('BAD_REQUEST', 'checkpoint files: more pages than were announced')
    for (let at = 0; at < data.length; ) at += writeSync(file.fd, data, at)
    file.bytes += data.length
    this.#left -= data.length
  }

  /** The descriptor of a file of which the beginning came, at its end, now the caller's; null: nothing came. Nothing of what came counts when `sentBytes` is 0. */
  take(name: string, sentBytes: number): number | null {
    const file = this.#files.get(name)
    if (!file) return null
    if (sentBytes !== 0 && sentBytes !== file.bytes) {
      throw new DroverError(
        'BAD_REQUEST',
        `checkpoint file ${name}: ${sentBytes} bytes were sent before, and ${file.bytes} came`,
      )
    }
    this.#files.delete(name)
    if (sentBytes !== 0) return file.fd
    closeSync(file.fd)
    return openSync(imagePath(this.#directory, name), constants.O_TRUNC | constants.O_WRONLY | constants.O_NOFOLLOW)
  }

  close(): void {
    for (const { fd } of this.#files.values()) closeSync(fd)
    this.#files.clear()
    this.#now = null
  }

  #make(name: string): { fd: number; bytes: number } {
    const known = this.#files.get(name)
    const flags =
      constants.O_CREAT | constants.O_WRONLY | constants.O_NOFOLLOW | (known ? constants.O_TRUNC : constants.O_EXCL)
    const file = { fd: openSync(imagePath(this.#directory, name), flags, 0o644), bytes: 0 }
    if (known) closeSync(known.fd)
    this.#files.set(name, file)
    return file
  }
}

/** Of a file of a checkpoint that the other side has named. */
export function imagePath(directory: string, name: string): string {
  if (!namePattern.test(name))
    throw new DroverError('BAD_REQUEST', `checkpoint file ${shown(name)}: not a plain file name`)
  return join(directory, name)
}

const shown = (name: string): string => JSON.stringify(name.slice(0, 80))

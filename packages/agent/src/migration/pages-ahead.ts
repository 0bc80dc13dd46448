// The pages of a dump while CRIU still writes it. They are most of a small checkpoint, and CRIU has written them long before it is done with
// namespaces, files and sockets; sent meanwhile, they are there when the rest comes. CRIU only ever appends to a file of pages, so what has
// been read of it stands. A dump that is made anew makes new files: what was sent of the old ones is void then, and sent anew.

import { closeSync, constants, fstatSync, openSync, readdirSync, readSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { DroverError } from '@drover/protocol'
import { StreamFrameType } from '../streams/messages.ts'
import type { StreamConnection } from '../streams/stream-connection.ts'

/** After a look that found something. One costs some hundred microseconds, a dump takes twenty milliseconds, and three times that beside others. */
const firstLookMs = 2
/** After one that found nothing the pause is twice as long, up to this. */
const lastLookMs = 16
/** As much of several files as goes out in one write. */
const writeBytes = 1 << 20
/** Less would be a message for next to nothing. */
const leastBytes = 16 << 10
const pagesPattern = /^pages-[0-9]{1,10}\.img$/
const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/

interface Followed {
  fd: number
  sentBytes: number
}

interface News {
  name: string
  file: Followed
  sizeBytes: number
}

/** The source's side. */
export class PagesAhead {
  readonly #connection: StreamConnection
  readonly #directory: string
  readonly #files = new Map<string, Followed>()
  #stopped = false
  /** Ends the waiting for the next look. */
  #wake: (() => void) | null = null
  #closed = false
  #following: Promise<void> = Promise.resolve()

  constructor(connection: StreamConnection, directory: string) {
    this.#connection = connection
    this.#directory = directory
  }

  /** Sends what is written, until stop(): nobody else may send meanwhile. What goes wrong here is for the dump, or the next to send, to tell. */
  follow(): void {
    this.#following = this.#follow().catch(() => {
      this.#stopped = true
    })
  }

  /** Resolves when the connection is free. */
  async stop(): Promise<void> {
    this.#end()
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
    this.#end()
    for (const { fd } of this.#files.values()) closeSync(fd)
    this.#files.clear()
  }

  #end(): void {
    this.#stopped = true
    this.#wake?.()
  }

  async #follow(): Promise<void> {
    for (let pauseMs = firstLookMs; !this.#stopped; ) {
      await this.#pause(pauseMs)
      pauseMs = (await this.#look()) ? firstLookMs : Math.min(2 * pauseMs, lastLookMs)
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  /** What is new in all files, in as few writes as it fits in; whether anything is. */
  async #look(): Promise<boolean> {
    let room: Promise<void>[] = []
    let bytes = 0
    let found = false
    this.#connection.cork()
    try {
      for (const name of this.#stopped ? [] : this.#names()) {
        const news = this.#news(name)
        if (!news) continue
        found = true
        bytes += news.sizeBytes
        if (bytes <= Math.min(writeBytes, this.#connection.frameBytes)) {
          room.push(...this.#sendAtOnce(news))
          continue
        }
        this.#connection.uncork()
        await Promise.all(room)
        room = []
        if (this.#stopped) return found
        await this.#send(news)
        bytes = 0
        this.#connection.cork()
      }
    } finally {
      this.#connection.uncork()
    }
    await Promise.all(room)
    return found
  }

  /** The engine makes the directory. */
  #names(): string[] {
    try {
      return readdirSync(this.#directory).filter((name) => pagesPattern.test(name))
    } catch {
      return []
    }
  }

  #news(name: string): News | null {
    const file = this.#open(name)
    const sizeBytes = fstatSync(file.fd).size - file.sentBytes
    return sizeBytes < leastBytes ? null : { name, file, sizeBytes }
  }

  #announce({ name, file, sizeBytes }: News): Promise<void> {
    return this.#connection.sendMessage({ kind: 'written', name, from: file.sentBytes, sizeBytes })
  }

  #sendAtOnce(news: News): Promise<void>[] {
    const announced = this.#announce(news)
    // Should the file be unreadable, that is what went wrong.
    announced.catch(() => {})
    const sent = this.#sendFrame(news, news.sizeBytes)
    sent.catch(() => {})
    return [announced, sent]
  }

  async #send(news: News): Promise<void> {
    let room = this.#announce(news)
    for (let left = news.sizeBytes; left > 0; ) {
      const bytes = Math.min(left, this.#connection.frameBytes)
      await room
      if (this.#closed) return
      room = this.#sendFrame(news, bytes)
      left -= bytes
    }
    await room
  }

  #sendFrame({ name, file }: News, bytes: number): Promise<void> {
    const frame = Buffer.allocUnsafe(bytes)
    const read = readSync(file.fd, frame, 0, bytes, file.sentBytes)
    if (read < bytes) throw new DroverError('TRANSFER_FAILED', `checkpoint file ${name}: it became shorter`)
    file.sentBytes += bytes
    return this.#connection.send(StreamFrameType.data, frame)
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

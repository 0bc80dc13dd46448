// What is being sent to this host, piece by piece: <data>/uploads/<id>. A piece may come twice, and never leaves a hole; what nobody
// has gone on with for a day is removed.

import { createHash } from 'node:crypto'
import { constants, createReadStream, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { DroverError, uploadKeptMs, uploadPattern } from '@drover/protocol'

const maxUploads = 16
const maxBytes = 256 * 2 ** 30
const pattern = new RegExp(uploadPattern)

export class Uploads {
  readonly #directory: string

  constructor(dataDirectory: string) {
    this.#directory = join(dataDirectory, 'uploads')
    mkdirSync(this.#directory, { recursive: true, mode: 0o711 })
    this.#expire()
  }

  receivedBytes(upload: string): number {
    return statSync(this.path(upload), { throwIfNoEntry: false })?.size ?? 0
  }

  async write(upload: string, offset: number, bytes: Buffer): Promise<number> {
    const there = this.receivedBytes(upload)
    if (offset > there) {
      throw new DroverError(
        'BAD_REQUEST',
        `upload ${upload}: a piece for byte ${offset} came, but only ${there} are here`,
      )
    }
    if (offset + bytes.length > maxBytes)
      throw new DroverError('TOO_LARGE', `upload ${upload}: more than ${maxBytes} bytes`)
    if (there === 0) this.#makeRoom()
    // Not to append: the first piece may come twice at once.
    const file = await open(this.path(upload), constants.O_WRONLY | constants.O_CREAT, 0o644)
    try {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await file.write(bytes, done, bytes.length - done, offset + done)
        done += bytesWritten
      }
    } finally {
      await file.close()
    }
    return Math.max(there, offset + bytes.length)
  }

  /** Where something is made that is to be read from here: it gets its name when it is whole. */
  draft(upload: string): string {
    this.#makeRoom()
    return `${this.path(upload)}.draft`
  }

  /** At most so much as may be sent here. */
  async fill(path: string, content: AsyncIterable<Buffer>): Promise<void> {
    const file = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC, 0o600)
    let written = 0
    try {
      for await (const chunk of content) {
        written += chunk.length
        if (written > maxBytes) throw new DroverError('TOO_LARGE', `export: more than ${maxBytes} bytes`)
        await file.writeFile(chunk)
      }
    } finally {
      await file.close()
    }
  }

  /** The path of one that is whole: what was said of it is true. */
  async checked(upload: string, sha256: string): Promise<string> {
    const path = this.path(upload)
    const hash = createHash('sha256')
    try {
      for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer)
    } catch (cause) {
      throw new DroverError('TRANSFER_FAILED', `upload ${upload} is not on this host; send it again`, { cause })
    }
    const actual = hash.digest('hex')
    if (actual !== sha256)
      throw new DroverError('TRANSFER_FAILED', `upload ${upload}: what came has SHA-256 ${actual}, not ${sha256}`)
    return path
  }

  remove(upload: string): void {
    rmSync(this.path(upload), { force: true })
  }

  path(upload: string): string {
    if (!pattern.test(upload)) throw new DroverError('BAD_REQUEST', `upload ${upload.slice(0, 80)}: not 32 hex digits`)
    return join(this.#directory, upload)
  }

  #makeRoom(): void {
    this.#expire()
    if (readdirSync(this.#directory).length >= maxUploads)
      throw new DroverError('LIMIT_REACHED', `upload: this host takes ${maxUploads} at once`)
  }

  #expire(): void {
    for (const name of readdirSync(this.#directory)) {
      const path = join(this.#directory, name)
      const { mtimeMs } = statSync(path, { throwIfNoEntry: false }) ?? { mtimeMs: 0 }
      if (Date.now() - mtimeMs > uploadKeptMs) rmSync(path, { recursive: true, force: true })
    }
  }
}

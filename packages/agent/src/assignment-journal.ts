// One file of JSON lines that is only ever appended to, and written anew when most of it is old. A replaced file would cost more: ext4
// writes its data to disk at the rename, and whoever asked waits. Everything is with the kernel when append returns, so a killed
// process loses nothing; a machine that goes down may lose the end, and its containers go with it. What can't be read is left out.

import {
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'

/** Not written anew below this size. */
const smallBytes = 256 * 1024
/** Written anew when it is so many times as large as what counts of it. */
const growth = 4

export class AssignmentJournal {
  readonly #path: string
  readonly #warn: (message: string) => void
  #file: number | null = null
  #bytes = 0
  #keptBytes = 0

  constructor(path: string, warn: (message: string) => void) {
    this.#path = path
    this.#warn = warn
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  }

  /** All lines that can be read, oldest first. */
  read(): unknown[] {
    let text: string
    try {
      text = readFileSync(this.#path, 'utf8')
    } catch {
      return []
    }
    return text.split('\n').flatMap((line) => parsed(line))
  }

  /** Whether it is written. */
  append(value: unknown): boolean {
    try {
      this.#file ??= this.#open()
      const line = Buffer.from(`${JSON.stringify(value)}\n`)
      const written = writeSync(this.#file, line)
      if (written < line.length) {
        // The disk is full: half a line must not stay in front of the next one.
        ftruncateSync(this.#file, this.#bytes)
        throw new Error(`only ${written} of ${line.length} bytes could be written`)
      }
      this.#bytes += line.length
      return true
    } catch (error) {
      this.#warn(`write ${this.#path}: ${(error as Error).message}`)
      return false
    }
  }

  #open(): number {
    const file = openSync(this.#path, 'a', 0o600)
    // Whoever wrote before may have been killed within a line.
    writeSync(file, '\n')
    this.#bytes = fstatSync(file).size
    return file
  }

  /** Time to keep only what counts. */
  get overgrown(): boolean {
    return this.#bytes > Math.max(smallBytes, growth * this.#keptBytes)
  }

  /** Keeps these lines only. If that fails, everything is as before. */
  replace(values: unknown[]): void {
    const text = values.map((value) => `${JSON.stringify(value)}\n`).join('')
    try {
      writeFileSync(`${this.#path}.new`, text, { mode: 0o600 })
      renameSync(`${this.#path}.new`, this.#path)
    } catch (error) {
      this.#warn(`write ${this.#path}: ${(error as Error).message}`)
      return
    }
    this.close()
    this.#bytes = Buffer.byteLength(text)
    this.#keptBytes = this.#bytes
  }

  /** The next line opens it again. */
  close(): void {
    if (this.#file !== null) closeSync(this.#file)
    this.#file = null
  }
}

function parsed(line: string): unknown[] {
  if (line === '') return []
  try {
    return [JSON.parse(line)]
  } catch {
    return []
  }
}

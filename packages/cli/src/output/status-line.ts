// One line at the bottom of a terminal that is redrawn in place: spinner, words, seconds. On anything that isn't a terminal it
// prints each new text once as a plain line, so that a log shows how things went.

import { stripVTControlCharacters } from 'node:util'
import type { Terminal } from '../terminal.ts'
import { formatDuration } from './durations.ts'
import { makePalette, type Palette } from './palette.ts'

const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']
/** Smooth to the eye, and nothing to the machine. */
const redrawMs = 80
/** What is over sooner than this needs no spinner: it would only flicker. */
const patienceMs = 150
/** For a terminal that doesn't say how wide it is. */
const usualColumns = 80

export class StatusLine {
  readonly palette: Palette
  /** Whether it is drawn in place. */
  readonly live: boolean
  readonly #terminal: Terminal
  readonly #silent: boolean
  #text: string | null = null
  #startedAt = 0
  #drawn = false
  #timer: NodeJS.Timeout | null = null

  constructor(terminal: Terminal, silent: boolean) {
    this.#terminal = terminal
    this.#silent = silent
    this.live = !silent && terminal.stderr.isTTY === true && terminal.environment.TERM !== 'dumb'
    this.palette = makePalette(this.live, terminal.environment)
  }

  /** `plain` is the line for what isn't a terminal; null: none. */
  show(text: string, plain: string | null = text): void {
    if (this.#silent) return
    if (!this.live) {
      if (plain !== null && plain !== this.#text) this.#terminal.stderr.write(`${stripVTControlCharacters(plain)}\n`)
      if (plain !== null) this.#text = plain
      return
    }
    if (this.#timer === null) {
      this.#startedAt = performance.now()
      this.#timer = setInterval(() => this.#draw(), redrawMs)
    }
    this.#text = text
  }

  /** Writes something that stays, above the line. */
  above(write: () => void): void {
    const drawn = this.#drawn
    this.#erase()
    write()
    if (drawn) this.#draw()
  }

  clear(): void {
    if (this.#timer) clearInterval(this.#timer)
    this.#timer = null
    this.#text = null
    this.#erase()
  }

  #draw(): void {
    const elapsedMs = performance.now() - this.#startedAt
    if (this.#text === null || elapsedMs < patienceMs) return
    const frame = frames[Math.floor(elapsedMs / redrawMs) % frames.length] as string
    const line = `${this.palette.cyan(frame)} ${this.#text} ${this.palette.dim(formatDuration(Math.floor(elapsedMs / 100) * 100))}`
    this.#terminal.stderr.write(`\r\x1b[K${cut(line, (this.#terminal.stderr.columns || usualColumns) - 1)}`)
    this.#drawn = true
  }

  #erase(): void {
    if (this.#drawn) this.#terminal.stderr.write('\r\x1b[K')
    this.#drawn = false
  }
}

/** A line that wraps could not be redrawn. */
function cut(line: string, columns: number): string {
  const bare = stripVTControlCharacters(line)
  return bare.length <= columns ? line : `${bare.slice(0, Math.max(0, columns - 1))}…`
}

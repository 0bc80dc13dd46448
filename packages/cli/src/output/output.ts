// Where a command's words go: results to stdout, progress and complaints to stderr. With --json, stdout gets JSON and nothing
// else, and progress is silent.

import type { Terminal } from '../terminal.ts'
import { makePalette, type Palette } from './palette.ts'
import { StatusLine } from './status-line.ts'

export class Output {
  readonly json: boolean
  /** For stdout. */
  readonly palette: Palette
  /** The one line on a terminal that is redrawn in place. */
  readonly statusLine: StatusLine
  readonly #terminal: Terminal

  constructor(terminal: Terminal, json: boolean) {
    this.json = json
    this.palette = makePalette(terminal.stdout.isTTY === true, terminal.environment)
    this.statusLine = new StatusLine(terminal, json)
    this.#terminal = terminal
  }

  /** A line of the result, for a person. */
  line(text = ''): void {
    this.statusLine.above(() => this.#terminal.stdout.write(`${text}\n`))
  }

  /** A line about what is going on; not part of the result. */
  note(text: string): void {
    if (!this.json) this.statusLine.above(() => this.#terminal.stderr.write(`${text}\n`))
  }

  /** The result as JSON: one document, indented for a terminal. */
  document(value: unknown): void {
    const indent = this.#terminal.stdout.isTTY ? 2 : undefined
    this.#terminal.stdout.write(`${JSON.stringify(value, null, indent)}\n`)
  }

  /** One of a stream of JSON lines. */
  jsonLine(value: unknown): void {
    this.#terminal.stdout.write(`${JSON.stringify(value)}\n`)
  }

  /** Either one, as asked for. */
  result(value: unknown, text: () => string): void {
    if (this.json) this.document(value)
    else this.line(text())
  }
}

// A program outside that answers each line on its stdin with lines, ended by a blank one.

import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { DroverError } from '@drover/protocol'

const answerDeadlineMs = 60_000

export class Ticker {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  #lines: string[] = []
  #answer: ((lines: string[]) => void) | null = null
  #ended = false

  constructor(command: string[]) {
    const [program, ...args] = command
    this.#child = spawn(program as string, args, { stdio: ['pipe', 'pipe', 'inherit'], cwd: '/' })
    this.#child.stdin.on('error', () => {})
    this.#child.on('exit', () => {
      this.#ended = true
      this.#finish()
    })
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      if (line === '') this.#finish()
      else this.#lines.push(line)
    })
  }

  ask(line: string): Promise<string[]> {
    if (this.#ended) throw new DroverError('INTERNAL', 'the client outside has ended')
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new DroverError('TIMED_OUT', 'the client outside got no answer')),
        answerDeadlineMs,
      )
      this.#answer = (lines) => {
        clearTimeout(timer)
        resolve(lines)
      }
      this.#child.stdin.write(`${line}\n`)
    })
  }

  end(): void {
    this.#child.kill('SIGKILL')
  }

  #finish(): void {
    const lines = this.#lines
    this.#lines = []
    this.#answer?.(lines)
    this.#answer = null
  }
}

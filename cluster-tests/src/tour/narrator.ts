// The voice of the tour: chapters, the commands as one would type them with what they print, and checks that are counted.

import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { programs } from '@drover/cli/daemons'
import type { Lab } from '@drover/testkit/lab'

const colours = process.stdout.isTTY === true && !process.env.NO_COLOR

let silent = false

export class Narrator {
  failed = 0
  passed = 0
  #chapter = 0
  #running: ChildProcess | null = null

  /** Says nothing more: the tour was interrupted, and what fails from now on is no news. */
  silence(): void {
    silent = true
    this.#running?.kill('SIGKILL')
  }

  resume(): void {
    silent = false
  }

  title(text: string, subtitle: string): void {
    say(`\n${paint('1', text)}`)
    say(paint('2', subtitle))
  }

  chapter(text: string): void {
    this.#chapter++
    say(`\n${paint('1;36', `${this.#chapter}  ${text}`)}`)
  }

  line(text = ''): void {
    say(text === '' ? '' : `   ${text}`)
  }

  /** A step holds or it does not; one that does not makes the exit code non-zero. */
  check(holds: boolean, text: string, otherwise = ''): boolean {
    if (holds) this.passed++
    else this.failed++
    say(
      holds ? `   ${paint('32', '✓')} ${text}` : `   ${paint('31', `✗ ${text}`)}${otherwise ? ` — ${otherwise}` : ''}`,
    )
    return holds
  }

  /** Runs a `drover` command before the reader's eyes, exactly as typed; resolves with its exit code. */
  show(lab: Lab, args: string[]): Promise<number> {
    say(`\n   ${paint('2', '$')} ${paint('1', `drover ${args.join(' ')}`)}`)
    const { NO_COLOR: _, ...environment } = lab.environment
    const environmentToUse = process.env.NO_COLOR === undefined ? environment : { ...environment, NO_COLOR: '1' }
    return new Promise((resolve) => {
      const child = spawn(process.execPath, [programs.cli, ...args], {
        stdio: ['ignore', 'inherit', 'inherit'],
        env: environmentToUse,
      })
      this.#running = child
      child.on('error', () => resolve(127))
      child.on('close', (code) => {
        this.#running = null
        say()
        resolve(code ?? 1)
      })
    })
  }
}

/** How a person puts this laboratory's `drover` on the path. */
export const pathTo = (lab: Lab): string => `export PATH=${join(lab.directory, 'bin')}:$PATH`

function say(text = ''): void {
  if (!silent) process.stdout.write(`${text}\n`)
}

function paint(code: string, text: string): string {
  return colours ? `\u001b[${code}m${text}\u001b[0m` : text
}

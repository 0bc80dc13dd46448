// A process inside a container that holds memory, writes to it as told, and knows when it did not run (test/keeper.c).

import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { installationRoot } from '@drover/cli/daemons'
import { waitUntil } from '@drover/testkit/lab'
import type { Story } from './stories.ts'

const source = join(installationRoot, 'cluster-tests', 'test', 'keeper.c')
const deadlineMs = 120_000

export interface KeeperWord {
  ticks: number
  /** Of more than 300 ms in which it did not run. */
  gaps: number
  longestMs: number
  /** Wall clock around the longest. */
  fromMs: number
  toMs: number
  memory: string
}

/** The program, compiled; null where there is no C compiler or no static library. */
export function compileKeeper(directory: string): string | null {
  const program = join(directory, 'keeper')
  try {
    execFileSync('cc', ['-O2', '-static', '-o', program, source], { stdio: 'ignore' })
    return program
  } catch {
    return null
  }
}

export class Keeper {
  readonly #story: Story
  readonly #name: string

  private constructor(story: Story, name: string) {
    this.#story = story
    this.#name = name
  }

  /** Starts it in the container and waits until it has all of its memory. */
  static async start(story: Story, name: string, program: string, mebibytes: number, busy: number): Promise<Keeper> {
    await story.must('file', 'push', program, `${name}:/bin/keeper`, '--mode', '755')
    const keeper = new Keeper(story, name)
    await keeper.#inside(`setsid keeper ${mebibytes} ${busy} </dev/null >/dev/null 2>&1 &`)
    await waitUntil(
      'the keeper to have its memory',
      deadlineMs,
      async () => (await keeper.#read('/tmp/keeper')) !== null,
    )
    return keeper
  }

  /** What it says when it is asked now. */
  async ask(): Promise<KeeperWord> {
    await this.#inside('rm -f /tmp/verdict; kill -USR1 $(pidof keeper)')
    let word: KeeperWord | null = null
    await waitUntil('the keeper to answer', deadlineMs, async () => {
      word = await this.#read('/tmp/verdict')
      return word !== null
    })
    return word as unknown as KeeperWord
  }

  async #read(path: string): Promise<KeeperWord | null> {
    const read = await this.#story.lab.cli(['exec', this.#name, '--', 'cat', path])
    return read.code === 0 ? parseWord(read.stdout) : null
  }

  async #inside(script: string): Promise<void> {
    const done = await this.#story.lab.cli(['exec', this.#name, '--', 'sh', '-c', script])
    if (done.code !== 0) throw new Error(`in ${this.#name}: ${script}: ${done.stderr}`)
  }
}

export function parseWord(text: string): KeeperWord | null {
  const [ticks, gaps, longestMs, fromMs, toMs, memory = ''] = text.trim().split(' ')
  if (toMs === undefined) return null
  const numbers = { ticks, gaps, longestMs, fromMs, toMs }
  const parsed = Object.fromEntries(Object.entries(numbers).map(([key, value]) => [key, Number(value)]))
  return { ...(parsed as Omit<KeeperWord, 'memory'>), memory }
}

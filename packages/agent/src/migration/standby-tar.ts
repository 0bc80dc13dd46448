// A tar that waits for work: what a container wrote between the pre-copy and the freeze is packed and unpacked while it stands still, so the
// process has to be there before. Mostly there is nothing to pack, then it waits on for the next move: to start a process from one
// of the agent's size is one of the dearest things in a move. It ends with the agent, whose end closes its standard input.

import { type ChildProcess, spawn } from 'node:child_process'
import type { Socket } from 'node:net'

/** The first line that it reads is the directory to work in; all that follows is for tar. */
const script = 'IFS= read -r directory && cd "$directory" && exec tar "$@"'

export class StandbyTar {
  readonly #args: string[]
  #waiting: ChildProcess | null = null

  constructor(args: string[]) {
    this.#args = args
  }

  /** From now on one waits, until it is taken. */
  keepReady(): void {
    if (this.#waiting && this.#waiting.exitCode === null && this.#waiting.signalCode === null) return
    this.#waiting = this.#start()
    // It must not keep a process alive that has nothing else to do.
    eachPart(this.#waiting, (part) => part.unref())
  }

  /** The one that waits, or a new one, at work in `directory`. */
  take(directory: string): ChildProcess {
    this.keepReady()
    const child = this.#waiting as ChildProcess
    this.#waiting = null
    eachPart(child, (part) => part.ref())
    child.stdin?.write(`${directory}\n`)
    return child
  }

  #start(): ChildProcess {
    const child = spawn('sh', ['-c', script, 'tar', ...this.#args], {
      stdio: ['pipe', this.#args[0] === '--create' ? 'pipe' : 'ignore', 'pipe'],
      env: { ...process.env, LC_ALL: 'C' },
      cwd: '/',
    })
    // Whoever takes it hears of its end; before that it is only missing.
    child.on('error', () => {})
    child.stdin?.on('error', () => {})
    return child
  }
}

function eachPart(child: ChildProcess, act: (part: { ref(): void; unref(): void }) => void): void {
  for (const part of [child, child.stdin, child.stdout, child.stderr]) if (part) act(part as ChildProcess | Socket)
}

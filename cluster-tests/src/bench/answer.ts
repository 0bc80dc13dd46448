// The moment at which a service inside answers.

import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { DroverError } from '@drover/protocol'
import { type BenchHost, servicePort } from './bench-host.ts'

const answerDeadlineMs = 20_000

/** A small program that asks the service until it answers; it waits before the container is started. */
export class Answer {
  readonly #child: ChildProcess
  /** Of the first byte, ms. */
  readonly moment: Promise<number>

  private constructor(child: ChildProcess, moment: Promise<number>) {
    this.#child = child
    this.moment = moment
  }

  static async watch(host: BenchHost, name: string, reach: string): Promise<Answer> {
    const ask = [host.tool, 'answer', reach, String(servicePort), String(answerDeadlineMs)]
    const [program, ...rest] = [...host.place.prefix, ...ask]
    const child = spawn(program as string, rest, { stdio: ['ignore', 'pipe', 'pipe'] })
    let complaint = ''
    child.stderr.on('data', (data: Buffer) => {
      complaint += data
    })
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    await lines.next()
    const moment = lines.next().then(({ value }) => {
      if (value === undefined)
        throw new DroverError('TIMED_OUT', `ask ${name} at ${reach} port ${servicePort}: ${complaint.trim()}`)
      return Number(value) / 1e6
    })
    moment.catch(() => {})
    return new Answer(child, moment)
  }

  end(): void {
    this.#child.kill('SIGKILL')
  }
}

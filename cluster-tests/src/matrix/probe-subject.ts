// A busybox container with some probes in it, each asked from inside (over loopback, anew each time) and from a client outside
// (over one TCP connection that lives as long as the container).

import { PassThrough } from 'node:stream'
import type { DroverClient } from '@drover/client'
import { DroverError } from '@drover/protocol'
import type { Lab } from '@drover/testkit/lab'
import { probeProgram } from './objects.ts'
import { type Row, RowTally } from './row.ts'
import type { Subject } from './subject.ts'
import { Ticker } from './ticker.ts'

const probeInside = '/usr/bin/probe'
const launchDeadlineMs = 120_000

export class ProbeSubject implements Subject {
  readonly name: string
  readonly tallies: RowTally[]
  readonly #lab: Lab
  readonly #client: DroverClient
  #outside: Ticker | null = null

  constructor(lab: Lab, client: DroverClient, name: string, rows: Row[]) {
    this.#lab = lab
    this.#client = client
    this.name = name
    this.tallies = rows.map((row) => new RowTally(row))
  }

  async prepare(): Promise<void> {
    const launched = await this.#client.launch({ name: this.name })
    await this.#client.waitOperation(launched.id, { deadlineMs: launchDeadlineMs })
    await this.#lab.query(['file', 'push', probeProgram, `${this.name}:${probeInside}`, '--mode', '755'])
    for (const [name, answer] of answersIn(await this.#probe('start', this.#names()))) {
      const tally = this.tallies.find(({ row }) => row.name === name)
      if (answer.startsWith('absent ')) (tally as RowTally).absent = answer.slice('absent '.length)
      else if (!answer.startsWith('ok ')) tally?.fail(`setup: ${answer.replace(/^bad /, '')}`)
    }
    const { identity } = await this.#client.container(this.name)
    const address = identity.ipv4.split('/')[0] as string
    this.#outside = new Ticker([...this.#lab.clientPrefix, probeProgram, 'watch', address, ...this.#names()])
  }

  async check(): Promise<Map<string, string>> {
    const complaints = new Map<string, string>()
    const hear = (where: string, lines: string[]) => {
      const answers = answersIn(lines)
      for (const { row, absent } of this.tallies) {
        const answer = answers.get(row.name) ?? 'bad no answer'
        if (absent !== '' || answer.startsWith('ok ') || complaints.has(row.name)) continue
        complaints.set(row.name, `${where}: ${answer.replace(/^bad /, '')}`)
      }
    }
    hear('inside', await this.#probe('ask', this.#names()))
    hear('outside', (await this.#outside?.ask('check')) ?? [])
    return complaints
  }

  close(): void {
    this.#outside?.end()
  }

  #names(): string[] {
    return this.tallies.map(({ row }) => row.name)
  }

  async #probe(verb: string, names: string[]): Promise<string[]> {
    return await runInside(this.#client, this.name, [probeInside, verb, ...names])
  }
}

/** Lines of a command's stdout; its exit code does not matter. */
export async function runInside(client: DroverClient, name: string, command: string[]): Promise<string[]> {
  const stdout = new PassThrough()
  const stderr = new PassThrough()
  const output = stdout.toArray()
  stderr.resume()
  const request = { command, terminal: null, environment: {}, directory: null, user: null }
  const session = await client.exec(name, request, { stdin: null, stdout, stderr })
  await session.exitCode
  stdout.end()
  const text = Buffer.concat((await output) as Buffer[]).toString()
  if (text === '') throw new DroverError('INTERNAL', `${command.slice(0, 2).join(' ')} in ${name} said nothing`)
  return text.trimEnd().split('\n')
}

function answersIn(lines: string[]): Map<string, string> {
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]))
}

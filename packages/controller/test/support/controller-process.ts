// A controller as a process of its own, as it is shipped, so that it can be killed.

import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ControllerConfig } from '@drover/protocol'
import { waitFor } from './nats-process.ts'

const main = fileURLToPath(new URL('../../dist/main.js', import.meta.url))

/** A second of CPU time, of which a busy machine gives little. */
const startDeadlineMs = 60_000

export const notBuilt = (): string | false => (existsSync(main) ? false : 'the controller is not built (npx tsc -b)')

export class ControllerProcess {
  readonly config: ControllerConfig
  readonly url: string
  #child: ChildProcess | null = null

  constructor(config: ControllerConfig) {
    this.config = config
    this.url = `http://${config.apiAddress}:${config.apiPort}`
  }

  async start(): Promise<void> {
    const { dataDirectory, name } = this.config
    mkdirSync(dataDirectory, { recursive: true })
    const path = join(dataDirectory, 'controller.json')
    writeFileSync(path, JSON.stringify(this.config))
    const log = openSync(join(dataDirectory, 'log.txt'), 'a')
    this.#child = spawn(process.execPath, [main, path], { stdio: ['ignore', log, log] })
    const answers = async () => (await fetch(`${this.url}/healthz`).catch(() => null))?.ok
    await waitFor(`controller ${name} to answer`, answers, startDeadlineMs)
  }

  get alive(): boolean {
    return this.#child !== null && this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** No chance to say farewell. */
  kill(): Promise<void> {
    return this.#end('SIGKILL')
  }

  stop(): Promise<void> {
    return this.#end('SIGTERM')
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    if (!child || !this.alive) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill(signal)
    await ended
  }
}

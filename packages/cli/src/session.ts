// What one run of a command has at hand: the terminal, the output and, once asked for, a client of the cluster.

import { DroverClient, loadClientConfig } from '@drover/client'
import { Output } from './output/output.ts'
import type { Terminal } from './terminal.ts'

export class Session {
  readonly terminal: Terminal
  readonly output: Output
  #client: Promise<DroverClient> | null = null

  constructor(terminal: Terminal, json: boolean) {
    this.terminal = terminal
    this.output = new Output(terminal, json)
  }

  readonly client = (): Promise<DroverClient> => {
    this.#client ??= loadClientConfig(this.terminal.environment).then((config) => new DroverClient(config))
    return this.#client
  }
}

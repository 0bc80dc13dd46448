// A container with one workload in it, asked from inside by programs that are started anew and from outside by clients whose connections
// were opened before the first move; beside them a pulse service whose counter lives only in memory.

import { join } from 'node:path'
import { installationRoot } from '@drover/cli/daemons'
import type { DroverClient } from '@drover/client'
import { DroverError } from '@drover/protocol'
import type { Lab } from '@drover/testkit/lab'
import { Witness } from '../../witness.ts'
import { type Row, RowTally } from '../row.ts'
import type { Subject } from '../subject.ts'
import { Ticker } from '../ticker.ts'
import type { Workload } from './workload.ts'
import { WorkloadContainer } from './workload-container.ts'
import { type WorkloadLayer, workloadImage } from './workload-layer.ts'

const launchDeadlineMs = 240_000
const programs = join(installationRoot, 'cluster-tests', 'workloads')
/** Compiled, also when this file is run from its source: node has to run it in another namespace, alone. */
const outsideClient = join(installationRoot, 'cluster-tests', 'dist', 'src', 'matrix', 'outside', 'main.js')

export class WorkloadSubject implements Subject {
  readonly name: string
  readonly tallies: RowTally[]
  readonly #lab: Lab
  readonly #client: DroverClient
  readonly #workload: Workload
  readonly #layer: WorkloadLayer
  #container: WorkloadContainer | null = null
  #outside: Ticker | null = null
  #witness: Witness | null = null

  constructor(lab: Lab, client: DroverClient, row: Row, workload: Workload, layer: WorkloadLayer) {
    this.#lab = lab
    this.#client = client
    this.#workload = workload
    this.#layer = layer
    this.name = `matrix-${row.name}`
    this.tallies = [new RowTally(row)]
  }

  async prepare(): Promise<void> {
    const { image, memoryBytes } = this.#workload
    if (image === workloadImage && this.#layer.missing !== '') {
      for (const tally of this.tallies) tally.absent = `its image can't be made here: ${this.#layer.missing}`
      return
    }
    const launched = await this.#client.launch({ name: this.name, image, memoryBytes })
    const { state, error } = await this.#client.waitOperation(launched.id, { deadlineMs: launchDeadlineMs })
    if (state !== 'done') throw new DroverError('INTERNAL', `launch: ${error?.message ?? state}`)
    const view = await this.#client.container(this.name)
    const container = new WorkloadContainer(this.#lab, this.#client, view)
    if (image === workloadImage) await this.#lab.query(['file', 'push', '-r', programs, `${this.name}:/opt`])
    await this.#workload.begin(container)
    this.#container = container
    this.#witness = await Witness.of(this.#lab, view)
    const command = await this.#workload.outside(container)
    if (command.length > 0)
      this.#outside = new Ticker([...this.#lab.clientPrefix, process.execPath, outsideClient, ...command])
  }

  async check(): Promise<Map<string, string>> {
    return this.#ofEach((await this.#complaintInside()) || (await this.#complaintOutside()))
  }

  /** From inside alone, since it may end connections. */
  async finish(): Promise<Map<string, string>> {
    const container = this.#container
    return this.#ofEach(await complaintOf('inside', async () => container && (await this.#workload.end?.(container))))
  }

  close(): void {
    this.#outside?.end()
    this.#witness?.close()
  }

  #ofEach(complaint: string): Map<string, string> {
    return new Map(complaint === '' ? [] : this.tallies.map(({ row }) => [row.name, complaint]))
  }

  async #complaintInside(): Promise<string> {
    const container = this.#container
    if (container === null) return ''
    container.asked++
    return await complaintOf('inside', () => this.#workload.inside(container))
  }

  async #complaintOutside(): Promise<string> {
    return await complaintOf('outside', async () => {
      if (this.#outside !== null) {
        const [answer = 'no answer'] = await this.#outside.ask('check')
        if (answer !== 'ok') throw new DroverError('INTERNAL', answer)
      }
      const verdict = await this.#witness?.verdict(await this.#client.container(this.name))
      if (verdict?.unbroken === false) throw new DroverError('INTERNAL', `the pulse: ${verdict.detail}`)
    })
  }
}

async function complaintOf(where: string, ask: () => Promise<unknown>): Promise<string> {
  try {
    await ask()
    return ''
  } catch (error) {
    return `${where}: ${(error as Error).message}`
  }
}

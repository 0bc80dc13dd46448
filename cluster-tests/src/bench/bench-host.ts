// Where containers are measured: one laboratory host with an engine that nobody else talks to. It begins as a whole cluster of one
// host, so that a launch through the cluster can be measured too; `alone` then ends controller, agent and bus. All that engines and
// peers make is below the laboratory's cgroups, namespaces and directory, and goes with them, also when this process is killed.

import { accessSync, constants, readFileSync } from 'node:fs'
import { cp, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DroverClient } from '@drover/client'
import { EngineClient } from '@drover/engine'
import { DroverError, type Operation } from '@drover/protocol'
import { type HostPlace, Lab, run } from '@drover/testkit/lab'
import { ended } from './ended.ts'

const sources = fileURLToPath(new URL('../../../../native/bench/', import.meta.url))
/** Peers reach the root file system as the container's root: every folder above it must let others through. */
const openDirectory = '/var/tmp'
const operationDeadlineMs = 120_000
/** Of the peers and the floor; the engine's containers have ranges of their own. */
export const peerUid = 900_000_000
export const servicePort = 7000
/** What every measured container runs, whoever runs it: the tool notes the moment and becomes busybox's init. */
export const init = ['/bench-tool', 'stamp', '/started', '/bin/busybox', 'init']

export class BenchHost {
  readonly lab: Lab
  readonly client: DroverClient
  readonly place: HostPlace
  readonly directory: string
  /** The static program of native/bench. */
  readonly tool: string
  /** busybox with one service; the second one belongs to `peerUid`. */
  readonly rootfs: string
  readonly shiftedRootfs: string
  #engine: EngineClient | null = null

  private constructor(lab: Lab) {
    this.lab = lab
    this.client = new DroverClient({ endpoints: lab.endpoints, secret: lab.secret })
    this.place = lab.host('a')
    this.directory = join(lab.directory, 'bench')
    this.tool = join(this.directory, 'bench-tool')
    this.rootfs = join(this.directory, 'rootfs')
    this.shiftedRootfs = join(this.directory, 'shifted')
  }

  static async start(onProgress: (line: string) => void): Promise<BenchHost> {
    accessSync(openDirectory, constants.W_OK)
    const host = new BenchHost(
      await Lab.start({ hosts: ['a'], controllers: 1, capacity: null, directory: openDirectory, onProgress }),
    )
    try {
      await mkdir(host.directory, { mode: 0o711 })
      const names = ['main', 'floor', 'veth', 'stamp', 'spawn', 'answer', 'touch'].map((name) =>
        join(sources, `${name}.c`),
      )
      await host.must(['cc', '-O2', '-static', '-D_GNU_SOURCE', '-o', host.tool, ...names], { inside: false })
      await host.end(host.client.buildImage({ recipe: 'busybox' }))
      return host
    } catch (error) {
      await host.close()
      throw error
    }
  }

  /** Waits for an operation of the cluster. */
  end(started: Promise<{ id: string }>): Promise<Operation> {
    return ended(this.client, started, operationDeadlineMs)
  }

  /** Makes the root file systems from the image of a container of the cluster; then only the engine is left. */
  async alone(model: string): Promise<void> {
    const { id } = await this.client.container(model)
    const record = join(this.place.directory, 'containers', id, 'record.json')
    const { spec } = JSON.parse(readFileSync(record, 'utf8')) as { spec: { rootfs: string } }
    await this.must(['cp', '-a', spec.rootfs, this.rootfs], { inside: false })
    await writeFile(join(this.rootfs, 'etc/inittab'), `::respawn:/usr/bin/pulse ${servicePort}\n`)
    await cp(this.tool, join(this.rootfs, 'bench-tool'))
    await this.must(['cp', '-a', this.rootfs, this.shiftedRootfs], { inside: false })
    await this.must(['chown', '-hR', `${peerUid}:${peerUid}`, this.shiftedRootfs], { inside: false })
    await this.end(this.client.delete(model))
    for (const daemon of ['controller', 'agent', 'nats'] as const) await this.lab.kill('a', daemon)
  }

  get engine(): EngineClient {
    this.#engine ??= new EngineClient(this.place.engineSocketFromHere)
    return this.#engine
  }

  /** Address of the nth container: above those that the cluster gives out. */
  address(serial: number): string {
    return `${this.place.address.split('.').slice(0, 2).join('.')}.${100 + (serial >> 8)}.${serial & 255}`
  }

  /** Runs a command on the host (or on the machine) to its end; what it printed. */
  async must(command: string[], options: { inside?: boolean; deadlineMs?: number } = {}): Promise<string> {
    const [program, ...rest] = options.inside === false ? command : [...this.place.prefix, ...command]
    const outcome = await run(program as string, rest, { deadlineMs: options.deadlineMs ?? 60_000 })
    if (outcome.code === 0) return outcome.stdout
    throw new DroverError(
      'INTERNAL',
      `${command.slice(0, 3).join(' ')} ended with ${outcome.code}: ${(outcome.stderr || outcome.stdout).trim().slice(-400)}`,
    )
  }

  async close(): Promise<void> {
    this.#engine?.close()
    await this.lab.down()
    await run('rm', ['-rf', '--', this.directory], { deadlineMs: operationDeadlineMs })
  }
}

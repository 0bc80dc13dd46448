// One host of the native engine with containers of busybox on it, for tests that look out of them.

import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { EngineClient, EngineContainer, EngineSpec } from '../src/index.ts'
import { makeEngineImage } from './engine-image.ts'
import { type TestHost, TestNetwork } from './native-hosts.ts'

const repository = fileURLToPath(new URL('../../..', import.meta.url))
const binary = process.env.DROVER_ENGINE ?? join(repository, 'native/engine/build/drover-engine')
export const reasonToSkip =
  process.getuid?.() !== 0
    ? 'needs root'
    : !existsSync(binary)
      ? `needs the native engine: ${binary} is not built`
      : false

export class OneHost {
  readonly network: TestNetwork
  readonly host: TestHost
  /** The second number of the addresses of this test. */
  readonly #net: number

  private constructor(network: TestNetwork, host: TestHost, net: number) {
    this.network = network
    this.host = host
    this.#net = net
  }

  /** `fill` may put more into the image. */
  static async make(name: string, net: number, fill: (image: string) => void = () => {}): Promise<OneHost> {
    const network = await TestNetwork.make(`10.${net}.0.9/16`)
    const image = join(network.directory, 'image')
    mkdirSync(image)
    makeEngineImage(image)
    fill(image)
    const host = await network.addHost(name, { binary, criu: null })
    await host.startEngine()
    return new OneHost(network, host, net)
  }

  get client(): EngineClient {
    return this.host.client
  }

  spec(serial: number, change: Partial<EngineSpec> = {}): EngineSpec {
    const hex = (number: number) => number.toString(16).padStart(2, '0')
    return {
      container: `c${serial}`,
      name: `web-${serial}`,
      epoch: 1,
      rootfs: join(this.network.directory, 'image'),
      init: ['/sbin/init'],
      environment: {},
      limits: { cpuMilli: 0, memoryBytes: 0, diskBytes: 0, pids: 0 },
      identity: {
        serial,
        uidBase: 1_000_000 + serial * 65_536,
        mac: `02:00:00:${hex(this.#net)}:04:${hex(serial)}`,
        ipv4: `10.${this.#net}.1.${serial}/16`,
        gateway: null,
        machineId: serial.toString(16).padStart(32, '0'),
      },
      ...change,
    }
  }

  async start(serial: number, change: Partial<EngineSpec> = {}): Promise<EngineContainer> {
    const spec = this.spec(serial, change)
    await this.client.call('create', { spec })
    return this.client.call('start', { container: spec.container, epoch: spec.epoch })
  }

  /** By root inside; both outputs together. */
  async sh(container: string, script: string): Promise<{ code: number; output: string }> {
    let output = ''
    const take = (data: Uint8Array) => {
      output += Buffer.from(data)
    }
    const session = await this.client.exec(
      { container, command: ['sh', '-c', script], environment: {}, directory: null, user: null, terminal: null },
      { onStdout: take, onStderr: take },
    )
    session.end()
    return { code: await session.exit, output: output.trim() }
  }
}

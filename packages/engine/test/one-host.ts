// One host of the native engine with containers of busybox on it.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { EngineClient, EngineContainer, EngineSpec } from '../src/index.ts'
import { makeEngineImage } from './engine-image.ts'
import { binary } from './engine-program.ts'
import { engineSpec } from './engine-spec.ts'
import { type TestHost, TestNetwork } from './native-hosts.ts'
import { run } from './run-inside.ts'
import type { StateFileSystem } from './state-mount.ts'

export class OneHost {
  readonly network: TestNetwork
  readonly host: TestHost
  /** The second number of the addresses of this test. */
  readonly #net: number
  #serial = 0

  private constructor(network: TestNetwork, host: TestHost, net: number) {
    this.network = network
    this.host = host
    this.#net = net
  }

  /** `fill` may put more into the image; `environment` is more of the engine's. */
  static async make(
    name: string,
    net: number,
    fill: (image: string) => void = () => {},
    environment: Record<string, string> = {},
    separateState: StateFileSystem | null = null,
  ): Promise<OneHost> {
    const network = await TestNetwork.make(`10.${net}.0.9/16`)
    const image = join(network.directory, 'image')
    mkdirSync(image)
    makeEngineImage(image)
    fill(image)
    const host = await network.addHost(name, { binary, criu: null, separateState })
    await host.startEngine(environment)
    return new OneHost(network, host, net)
  }

  get client(): EngineClient {
    return this.host.client
  }

  spec(serial: number, change: Partial<EngineSpec> = {}): EngineSpec {
    return engineSpec(serial, this.#net, join(this.network.directory, 'image'), change)
  }

  async start(serial: number, change: Partial<EngineSpec> = {}): Promise<EngineContainer> {
    const spec = this.spec(serial, change)
    await this.client.call('create', { spec })
    return this.client.call('start', { container: spec.container, epoch: spec.epoch })
  }

  /** Of the next container; it isn't made. */
  nextSpec(change: Partial<EngineSpec> = {}): EngineSpec {
    return this.spec(++this.#serial, change)
  }

  /** The next one, which goes with its test: deleted under the epoch that its specification has by then. */
  async startedFor(test: Test, change: Partial<EngineSpec> = {}): Promise<EngineSpec> {
    const spec = this.nextSpec(change)
    const { container, epoch } = spec
    await this.client.call('create', { spec })
    test.teardown(() => this.client.call('delete', { container, epoch: spec.epoch }))
    await this.client.call('start', { container, epoch })
    return spec
  }

  /** The same; its id. */
  async startFor(test: Test, change: Partial<EngineSpec> = {}): Promise<string> {
    return (await this.startedFor(test, change)).container
  }

  /** By root inside; both outputs together. */
  sh(container: string, script: string): Promise<{ code: number; output: string }> {
    return run(this.client, container, script)
  }
}

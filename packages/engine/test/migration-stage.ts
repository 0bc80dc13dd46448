// The stage of the tests of live moves: two hosts with an engine each, a client outside, and containers that send it a count. What the
// agents do between the engines (copying the writable layer and the images) is done here by tar and cp.

import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { DroverError } from '@drover/protocol'
import type { Test } from 'tap'
import type { EngineContainer, EngineMethods, EngineSpec } from '../src/index.ts'
import { binary, repository } from './engine-program.ts'
import { engineSpec, noLimits } from './engine-spec.ts'
import { makeMigrationImage } from './migration-image.ts'
import { type LineStream, type TestHost, TestNetwork, until } from './native-hosts.ts'
import type { StateFileSystem } from './state-mount.ts'

/** Where checkpoints lie, on either host; on its tmpfs. */
export const images = '/run/checkpoints/move'
/** How long a container that must not run is watched. */
const watchMs = 300

export interface Launched {
  spec: EngineSpec
  container: EngineContainer
  stream: LineStream
}

interface Choice {
  path: string | null
  reason: string
}

export function chooseCriu(): Choice {
  const choice = join(repository, '.drover/criu/choice.json')
  execFileSync(join(repository, 'deploy/criu'), ['--engine', binary], { stdio: ['ignore', 'ignore', 'pipe'] })
  return JSON.parse(execFileSync('cat', [choice], { encoding: 'utf8' }))
}

export class MigrationStage {
  readonly network: TestNetwork
  readonly a: TestHost
  readonly b: TestHost
  readonly #image: string
  #moves = 0
  #serial = 0

  private constructor(network: TestNetwork, image: string, a: TestHost, b: TestHost) {
    this.network = network
    this.#image = image
    this.a = a
    this.b = b
  }

  /** `fill` may put more into the image; `environment` is more of the engines'. */
  static async set(
    criu: string,
    fill: (image: string) => void = () => {},
    separateState: StateFileSystem | null = null,
    environment: Record<string, string> = {},
  ): Promise<MigrationStage> {
    const network = await TestNetwork.make('10.78.0.9/16')
    const image = join(network.directory, 'image')
    makeMigrationImage(image)
    fill(image)
    const options = { binary, criu, separateState }
    const [a, b] = [await network.addHost('a', options), await network.addHost('b', options)]
    await Promise.all([a.startEngine(environment), b.startEngine(environment)])
    return new MigrationStage(network, image, a, b)
  }

  /** Takes all down; an error names what containers left behind. */
  async strike(): Promise<void> {
    const left = await this.network.close()
    if (left.length > 0) throw new Error(`left behind: ${left.join('\n')}`)
  }

  /** A running container with an open connection to the client. */
  async launch(host: TestHost, change: Partial<EngineSpec> = {}): Promise<Launched> {
    const spec = { ...this.#newSpec(), ...change }
    await host.client.call('create', { spec })
    const container = await host.client.call('start', { container: spec.container, epoch: spec.epoch })
    const address = spec.identity.ipv4.split('/')[0] as string
    const listening = async () => {
      const stream = this.network.stream(address, 7000)
      await until('the first line or the end', () => stream.lines.length > 0 || stream.ended !== null)
      return stream.ended === null ? stream : null
    }
    return { spec, container, stream: await until('the server in the container', listening) }
  }

  async remove(host: TestHost, { spec, stream }: Launched): Promise<void> {
    stream.close()
    await host.client.call('delete', { container: spec.container, epoch: spec.epoch + 100 })
  }

  /** Everything up to the restore: the source is `checkpointed`, the destination has layer and images. */
  async moveUntilCopied(
    from: TestHost,
    to: TestHost,
    spec: EngineSpec,
  ): Promise<EngineMethods['checkpoint']['result']> {
    const { container, epoch } = spec
    const { upper, startedAtMs, starts } = await from.client.call('get', { container })
    // Every other time CRIU is asked ahead, and waits for its images.
    const ahead = this.#moves++ % 2 === 0 ? { directory: images } : {}
    rmSync(to.path(images), { recursive: true, force: true })
    mkdirSync(to.path(images), { recursive: true, mode: 0o755 })
    const prepared = await to.client.call('prepareRestore', { spec, startedAtMs, starts, ...ahead })
    const dump = await from.client.call('checkpoint', { container, epoch, directory: images })
    rmSync(prepared.upper, { recursive: true })
    copyUpper(upper, prepared.upper)
    cpSync(from.path(images), to.path(images), { recursive: true })
    return dump
  }

  /** Everything up to `restored` on the destination; the source stays `checkpointed`. */
  async moveUntilRestored(from: TestHost, to: TestHost, spec: EngineSpec) {
    const dump = await this.moveUntilCopied(from, to, spec)
    const { container, epoch } = spec
    return { dump, restore: await to.client.call('restore', { container, epoch, directory: images }) }
  }

  /** The rest of a move that was committed. */
  async finish(from: TestHost, to: TestHost, spec: EngineSpec): Promise<EngineMethods['release']['result']> {
    const { container, epoch } = spec
    const released = await to.client.call('release', { container, epoch })
    await from.client.call('delete', { container, epoch })
    return released
  }

  #newSpec(): EngineSpec {
    return engineSpec(++this.#serial, 78, this.#image, {
      limits: { ...noLimits, cpuMilli: 2000, memoryBytes: 256 << 20, pids: 200 },
    })
  }
}

/** What a call fails with; null when it does not. */
export function failureOf(call: Promise<unknown>): Promise<DroverError | null> {
  return call.then(
    () => null,
    (thrown: DroverError) => thrown,
  )
}

/** What holds init in its place, as the kernel tells it. */
export function confinement({ initPid }: EngineContainer): string[] {
  const lines = readFileSync(`/proc/${initPid}/status`, 'utf8').split('\n')
  const kept = lines.filter((line) => /^(Seccomp|NoNewPrivs|Cap|Uid|Gid|NSpid)/.test(line))
  return [...kept.map((line) => line.replace(/^(NSpid:\t)\d+/, '$1')), readFileSync(`/proc/${initPid}/uid_map`, 'utf8')]
}

/** Copies the writable layer as an agent does; the destination's holds nothing else afterwards. */
function copyUpper(from: string, to: string): void {
  mkdirSync(to, { recursive: true })
  execFileSync(
    'bash',
    [
      '-c',
      'set -o pipefail; tar -C "$0" --xattrs --xattrs-include="*" --numeric-owner -cf - . | tar -C "$1" --xattrs --xattrs-include="*" --numeric-owner -xpf -',
      from,
      to,
    ],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  )
}

/** Each line of the open connection follows the one before. */
export function checkCount(test: Test, stream: LineStream): void {
  const [pid = ''] = (stream.lines[0] ?? '').split(' ')
  const wrong = stream.lines.findIndex((line, index) => line !== `${pid} ${index}`)
  test.equal(wrong, -1, `all ${stream.lines.length} lines of the open connection are of one process and in order`)
}

/** Of all its processes together: 23 were seen once, which a frozen process takes that is woken in the kernel and sleeps again, as it seems. */
const mostWakingUsec = 200

/** The container's processor time does not grow while it is watched, but for what a frozen process may take. */
export async function checkStill(test: Test, host: TestHost, container: string, stream: LineStream): Promise<void> {
  const before = await host.client.call('get', { container })
  const lines = stream.lines.length
  const end = performance.now() + watchMs
  await until('the watch to be over', () => performance.now() > end)
  const after = await host.client.call('get', { container })
  const usedUsec = after.cpuUsec - before.cpuUsec
  test.ok(usedUsec <= mostWakingUsec, `it used no processor time: ${usedUsec} µs`)
  test.equal(stream.lines.length, lines, 'it sent nothing')
}

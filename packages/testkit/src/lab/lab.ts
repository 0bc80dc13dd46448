// A laboratory: a whole cluster on this machine, on hosts that are as separate as machines are (native engine, root), or on
// loopback addresses (simulated engine). Starts and stops the real daemons and drives them by the real command line.
// It knows nothing of what the cluster does; the tour, the stories and the benchmarks do.

import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import {
  type DaemonKind,
  daemonKinds,
  type EngineKind,
  identify,
  type ProcessIdentity,
  programs,
  runningDaemon,
  signalProcess,
  startDaemon,
  stopDaemon,
  waitUntil,
} from '@drover/cli/daemons'
import {
  type ClusterStatus,
  type Container,
  DroverError,
  type HostView,
  paths,
  type Resources,
  type TlsFiles,
} from '@drover/protocol'
import { ask } from './ask.ts'
import { processesIn } from './cgroups.ts'
import { writeClient } from './client-files.ts'
import { engineState } from './engine-state.ts'
import {
  type ArmedPoint,
  arm,
  criuProcesses,
  type HostToSearch,
  killAllOf,
  setCable,
  tracesOf,
  tracesOfMove,
} from './faults.ts'
import { type Guardian, startGuardian } from './guardian.ts'
import {
  type ClusterPlan,
  certificate,
  daemonDirectory,
  daemonsOf,
  endpoints,
  faultDirectory,
  type HostPlace,
  ports,
} from './layout.ts'
import { leftovers, namespaceUsers } from './leftovers.ts'
import { claimNetwork, containerNetwork6 } from './network.ts'
import { makeLoopback, makeNamespaces } from './places.ts'
import { type Pulse, PulseClient } from './pulse.ts'
import { residentBytes } from './resident.ts'
import { type Outcome, type RunOptions, run } from './run.ts'
import { type LabState, labsDirectory, writeState } from './state-file.ts'
import { sweep } from './sweep.ts'
import { type TeardownOptions, teardown } from './teardown.ts'

export interface LabOptions {
  hosts?: string[]
  /** How many of the hosts have a controller: 1 (embedded log), 3 or 5. */
  controllers?: number
  engine?: EngineKind
  /** false: the hosts only; what runs on them is the caller's affair. */
  daemons?: boolean
  /** What each host offers; null: all that the machine has. */
  capacity?: Resources | null
  /** Where hosts, which have no way to a mirror, find ready-made images: <image name>.tar. */
  layersDirectory?: string
  /** Variables for the native engines, which are otherwise started with none of the caller's. */
  engineEnvironment?: Record<string, string>
  /** Parent of the laboratory's own directory. */
  directory?: string
  /** Whether Ctrl-C takes it down and ends the process (default); false: the owner sees to it. */
  handleSignals?: boolean
  /** Told what is being done, for a person. */
  onProgress?: (line: string) => void
}

export interface CliOutcome extends Outcome {
  /** The parsed stdout when it is one JSON document, else undefined. */
  json: unknown
}

/** Three controllers on a busy two-core machine have elected a leader, and all hosts have joined, well before this. */
const clusterDeadlineMs = 90_000
const defaultCapacity: Resources = { cpuMilli: 8000, memoryBytes: 4 * 2 ** 30, diskBytes: 100 * 2 ** 30, pids: 131_072 }

export class Lab {
  readonly id: string
  readonly directory: string
  readonly engine: EngineKind
  readonly hosts: readonly HostPlace[]
  /** Goes before a command to run it in the client's namespace. */
  readonly clientPrefix: string[]
  readonly #plan: ClusterPlan
  readonly #state: LabState
  readonly #guardian: Guardian
  #pulses: PulseClient | null = null
  /** Who was in its namespaces when it was taken down. */
  #users: ProcessIdentity[] | undefined
  readonly #onSignal: (signal: NodeJS.Signals) => void

  private constructor(
    state: LabState,
    plan: ClusterPlan,
    directory: string,
    clientPrefix: string[],
    guardian: Guardian,
  ) {
    this.id = state.id
    this.directory = directory
    this.engine = plan.engine
    this.hosts = plan.hosts
    this.clientPrefix = clientPrefix
    this.#plan = plan
    this.#state = state
    this.#guardian = guardian
    this.#onSignal = (signal) => {
      void this.down().finally(() => process.kill(process.pid, signal))
    }
  }

  /** Makes the hosts, starts all daemons and waits until there is a leader and every host has joined. */
  static async start(options: LabOptions = {}): Promise<Lab> {
    await Lab.sweep()
    const engine = options.engine ?? 'native'
    const names = options.hosts ?? ['a', 'b', 'c']
    const controllers = Math.min(options.controllers ?? 3, names.length)
    const id = `dr${randomBytes(2).toString('hex')}`
    const directory = join(options.directory ?? labsDirectory, id)
    mkdirSync(directory, { recursive: true, mode: 0o755 })
    const owner = identify(process.pid)
    if (owner === null) throw new DroverError('INTERNAL', 'start laboratory: /proc does not show this process')
    const state: LabState = {
      id,
      owner,
      network: await claimNetwork(engine === 'native' ? 10 : 127),
      cgroups: [],
      holders: {},
      namespaces: [],
      links: [],
      directories: [directory],
    }
    writeState(state)
    const guardian = startGuardian(id)
    const tell = options.onProgress ?? (() => {})
    try {
      const make = engine === 'native' ? makeNamespaces : makeLoopback
      const places = await make(state, names, controllers, directory)
      const plan: ClusterPlan = {
        engine,
        secret: randomBytes(24).toString('base64url'),
        network: state.network,
        containerNetwork: `${engine === 'native' ? state.network : '10.77'}.0.0/16`,
        containerNetwork6: engine === 'native' ? containerNetwork6(state.network) : null,
        capacity: options.capacity === undefined ? defaultCapacity : options.capacity,
        layersDirectory: options.layersDirectory ?? null,
        engineEnvironment: options.engineEnvironment ?? {},
        hosts: places.hosts,
        authority: join(directory, 'authority'),
      }
      const lab = new Lab(state, plan, directory, places.clientPrefix, guardian)
      writeClient(directory, lab.endpoints, lab.secret)
      if (options.handleSignals !== false) {
        process.on('SIGINT', lab.#onSignal)
        process.on('SIGTERM', lab.#onSignal)
      }
      tell(`hosts ${names.join(', ')} are there`)
      if (options.daemons !== false) await lab.#startAll(tell)
      return lab
    } catch (error) {
      await teardown(state, { keepFiles: process.env.DROVER_KEEP === '1' })
      guardian.dismiss()
      throw error
    }
  }

  /** Removes what laboratories of dead owners left on this machine. */
  static sweep(): Promise<string[]> {
    return sweep()
  }

  host(name: string): HostPlace {
    const host = this.hosts.find((at) => at.name === name)
    if (host === undefined) throw new DroverError('HOST_NOT_FOUND', `the laboratory has no host ${name}`)
    return host
  }

  /** What the daemons of a host show to others. */
  tls(name: string): TlsFiles {
    return certificate(this.#plan, this.host(name))
  }

  /** Environment with which a `drover` command works on this cluster. */
  get environment(): NodeJS.ProcessEnv {
    return { ...process.env, DROVER_CONFIG: join(this.directory, 'client.json'), NO_COLOR: '1' }
  }

  get secret(): string {
    return this.#plan.secret
  }

  get endpoints(): string[] {
    return endpoints(this.#plan)
  }

  /** Runs a `drover` command to its end. */
  async cli(args: string[], options: RunOptions = {}): Promise<CliOutcome> {
    const outcome = await run(process.execPath, [programs.cli, ...args], { env: this.environment, ...options })
    let json: unknown
    try {
      json = JSON.parse(outcome.stdout)
    } catch {}
    return { ...outcome, json }
  }

  /** As cli with `--json`; a command that fails is an error here. */
  async query<T>(args: string[], options: RunOptions = {}): Promise<T> {
    const outcome = await this.cli([...args, '--json'], options)
    if (outcome.code !== 0 || outcome.json === undefined) {
      throw new DroverError(
        'INTERNAL',
        `drover ${args.join(' ')} ended with ${outcome.code}: ${outcome.stderr.trim() || outcome.stdout.slice(0, 500)}`,
      )
    }
    return outcome.json as T
  }

  /** A TCP stream from a container's pulse service to the client outside, a tick each 10 ms if not asked for another; the address may carry a prefix length. */
  pulse(address: string, tickMs?: number): Promise<Pulse> {
    this.#pulses ??= new PulseClient(this.clientPrefix)
    return this.#pulses.open(address.split('/')[0] as string, tickMs)
  }

  /** Sends a signal to a daemon; with SIGKILL it waits until the process is gone. */
  async kill(host: string, kind: DaemonKind, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const identity = runningDaemon(daemonDirectory(this.host(host), kind))
    if (identity === null) throw new DroverError('WRONG_STATE', `kill ${kind} of ${host}: it does not run`)
    signalProcess(identity, signal)
    if (signal !== 'SIGKILL') return
    await waitUntil(`${kind} of ${host} to end`, clusterDeadlineMs, () => !signalProcess(identity, 'SIGKILL'))
  }

  /** Starts a daemon again (stopping it first if it runs) and waits until it is ready. */
  async restart(host: string, kind: DaemonKind): Promise<void> {
    const place = this.host(host)
    await stopDaemon(daemonDirectory(place, kind))
    const daemon = daemonsOf(this.#plan, place)[kind]
    if (daemon === undefined) throw new DroverError('WRONG_STATE', `start ${kind} of ${host}: it has none`)
    await startDaemon(daemon)
  }

  isRunning(host: string, kind: DaemonKind): boolean {
    return runningDaemon(daemonDirectory(this.host(host), kind)) !== null
  }

  /** Process of a daemon; null when it does not run. */
  pidOf(host: string, kind: DaemonKind): number | null {
    return runningDaemon(daemonDirectory(this.host(host), kind))?.pid ?? null
  }

  /** Name of the leading controller, as the controllers that answer see it; waits for one. */
  async leader(deadlineMs = clusterDeadlineMs): Promise<string> {
    return await waitUntil('a leader', deadlineMs, async () => (await this.status())?.leader ?? null)
  }

  /** The status that any controller answers; null when none does. */
  async status(): Promise<ClusterStatus | null> {
    const answers = await Promise.all(
      this.endpoints.map((endpoint) => ask<ClusterStatus>(this.secret, [endpoint], paths.status)),
    )
    return answers.find((status) => status?.leader != null) ?? null
  }

  /** Waits until there is a leader and all hosts report. */
  async whole(deadlineMs = clusterDeadlineMs): Promise<ClusterStatus> {
    return await waitUntil('a leader and all hosts ready', deadlineMs, async () => {
      const status = await this.status()
      if (status === null) return null
      // A cordoned host is not counted as ready, and reports all the same.
      const hosts = await ask<HostView[]>(this.secret, this.endpoints, paths.hosts)
      const heard = hosts?.filter((host) => host.status !== 'silent').length
      return heard === this.hosts.length ? status : null
    })
  }

  /** Resident bytes of each daemon, by host and kind. */
  resident(): { host: string; kind: DaemonKind; bytes: number }[] {
    return this.hosts.flatMap((host) =>
      daemonKinds.flatMap((kind) => {
        const identity = runningDaemon(daemonDirectory(host, kind))
        return identity === null ? [] : [{ host: host.name, kind, bytes: residentBytes(identity.pid) }]
      }),
    )
  }

  /** Processes of a container on a host, counted in its cgroups: what really runs there, whatever anyone says. */
  processesOf(host: string, container: string): number[] {
    return processesIn(this.#state.cgroups.map((root) => join(root, host, 'drover', container)))
  }

  /** The hosts that a container executes on, frozen or not: one, unless something is wrong. */
  async hostsRunning(container: string): Promise<string[]> {
    const asked = this.hosts.map(async (host) => {
      const runs =
        this.engine === 'native'
          ? this.processesOf(host.name, container).length > 0
          : await simulatedRuns(host.engineSocketFromHere, container)
      return runs ? [host.name] : []
    })
    return (await Promise.all(asked)).flat()
  }

  /** Makes the agent or the engine of a host hold the next migration that comes to this point. */
  arm(host: string, point: string): ArmedPoint {
    return arm(faultDirectory(this.host(host)), point)
  }

  /** Pulls the cable of a host, or plugs it in again: nothing reaches its daemons and containers meanwhile. */
  async setCable(host: string, plugged: boolean): Promise<void> {
    await setCable(this.#search(host).holder, plugged)
  }

  /** As if its plug were pulled: every daemon and every container of the host is killed. Its disk stays. */
  async cutPower(host: string): Promise<void> {
    for (const kind of daemonKinds) if (this.isRunning(host, kind)) await this.kill(host, kind)
    if (this.engine === 'native') await killAllOf(this.#search(host), clusterDeadlineMs)
  }

  /** After cutPower: its daemons are started again. */
  async restorePower(host: string): Promise<void> {
    const daemons = daemonsOf(this.#plan, this.host(host))
    for (const kind of daemonKinds) if (daemons[kind] !== undefined) await this.restart(host, kind)
  }

  /** The CRIU processes that a host's engine has started. */
  criuProcesses(host: string): number[] {
    return criuProcesses(this.#search(host).cgroups, this.pidOf(host, 'engine'))
  }

  /** What a host has of a container; empty when it never ran there, or is wholly gone. */
  async tracesOf(host: string, { id, identity }: Container): Promise<string[]> {
    return await tracesOf(id, `dv${identity.serial}`, this.#search(host))
  }

  /** What a host has of a move that is over; empty when nothing of it was left. */
  tracesOfMove(host: string, operation: string, container: string): string[] {
    return tracesOfMove(operation, container, this.#search(host))
  }

  #search(host: string): HostToSearch {
    const holder = this.#state.holders[host]
    if (holder === undefined) throw new DroverError('WRONG_STATE', `host ${host} of this laboratory has no namespaces`)
    const cgroups = this.#state.cgroups.map((root) => join(root, host))
    return { cgroups, holder: holder.pid, directory: this.host(host).directory }
  }

  /** What of this laboratory exists on the machine; nothing once it is down. */
  leftovers(): string[] {
    return leftovers(this.#state, this.#users)
  }

  /** Takes everything down; resolves when nothing is left. */
  async down(options: TeardownOptions = {}): Promise<void> {
    process.off('SIGINT', this.#onSignal)
    process.off('SIGTERM', this.#onSignal)
    this.#pulses?.end()
    this.#users ??= namespaceUsers(this.#state)
    await teardown(this.#state, options)
    this.#guardian.dismiss()
  }

  async #startAll(tell: (line: string) => void): Promise<void> {
    const daemons = this.hosts.map((host) => daemonsOf(this.#plan, host))
    const started = (kind: DaemonKind) =>
      Promise.all(daemons.map((of) => (of[kind] === undefined ? undefined : startDaemon(of[kind]))))
    await Promise.all([started('nats'), started('engine')])
    tell('nats-server and engine run on each')
    await Promise.all([started('controller'), started('agent')])
    const status = await this.whole()
    tell(
      `controllers ${status.controllers.map((at) => at.name).join(', ')} follow ${status.leader}; agents have joined`,
    )
  }
}

/** A simulated container has no processes: its engine is asked. */
const simulatedRuns = async (socket: string, container: string): Promise<boolean> =>
  ((await engineState(socket, container))?.initPid ?? null) !== null

export { ports }

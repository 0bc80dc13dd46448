// What the agent's tests share: a nats-server on a free loopback port, simulated engines, agents in this process, and a leader of a few
// lines that answers pulls and pushes what a test assigns. Waiting is for reports, never for time.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type AgentConfig,
  type Assignment,
  type HostChanges,
  type HostReport,
  type ImageTask,
  type MigrationStep,
  type Peer,
  subjects,
  withChanges,
} from '@drover/protocol'
import { SimulatedEngine } from '@drover/testkit/simulated-engine'
import { removeDirectory } from '@drover/testkit/temporary'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import type t from 'tap'
import { Agent } from '../src/agent.ts'
import { ImageStore } from '../src/images/image-store.ts'
import { packLayer, unpackLayer } from '../src/images/layer.ts'
import { checkpointRootFor } from '../src/migration/checkpoint-directory.ts'

export const secret = 'a-secret-of-the-test-cluster'
const cluster = 'test'
const waitMs = 90_000

export const withoutNats =
  spawnSync('nats-server', ['--version']).status === 0 ? false : 'nats-server is not installed (deploy/bootstrap does)'

type Test = Pick<typeof t, 'teardown'>
const quiet = { debug() {}, info() {}, warn() {}, error() {} }

export class TestCluster {
  readonly directory: string
  readonly servers: string[]
  readonly #nats: ChildProcess
  readonly #connection: NatsConnection
  readonly #assigned = new Map<string, Map<string, Assignment>>()
  readonly #complete = new Map<string, HostReport>()
  readonly #reports = new Map<string, HostReport>()
  readonly #watchers = new Set<() => void>()
  readonly hosts: TestHost[] = []
  imageTasks: ImageTask[] = []
  /** False: as if there were no leader. */
  answersPulls = true
  term = 1
  index = 0

  private constructor(directory: string, nats: ChildProcess, server: string, connection: NatsConnection) {
    this.directory = directory
    this.#nats = nats
    this.servers = [server]
    this.#connection = connection
    connection.subscribe(subjects.reports(cluster), {
      callback: (_, message) => {
        const said = message.json<HostReport | HostChanges>()
        if (!('since' in said)) this.#complete.set(said.host, said)
        const report = 'since' in said ? withChanges(this.#complete.get(said.host), said) : said
        if (report) this.#reports.set(report.host, report)
        for (const watcher of this.#watchers) watcher()
      },
    })
    connection.subscribe(subjects.pull(cluster), {
      callback: (_, message) => {
        if (!this.answersPulls) return
        const { host } = message.json<{ host: string }>()
        const assignments = [...(this.#assigned.get(host)?.values() ?? [])]
        message.respond(JSON.stringify({ ...this.#head(true), assignments }))
      },
    })
  }

  static async start(test: Test): Promise<TestCluster> {
    const directory = mkdtempSync(join(tmpdir(), 'drover-agent-test-'))
    const [nats, port] = await startNats(join(directory, 'nats.conf'))
    const server = `127.0.0.1:${port}`
    const made = new TestCluster(directory, nats, server, await connect({ servers: server, token: secret }))
    test.teardown(() => made.close())
    return made
  }

  async addHost(name: string): Promise<TestHost> {
    const host = new TestHost(this, name)
    this.hosts.push(host)
    await host.startEngine()
    await host.startAgent()
    await this.until(`${name} reports its engine`, () => this.report(name)?.engineUp === true)
    return host
  }

  report(host: string): HostReport | undefined {
    return this.#reports.get(host)
  }

  step(host: string, operation: string): MigrationStep | undefined {
    return this.report(host)?.migrations.find((migration) => migration.operation === operation)
  }

  state(host: string, container: string): string | undefined {
    return this.report(host)?.containers.find((one) => one.container === container)?.state
  }

  peer(host: string): Peer {
    const streamPort = this.report(host)?.streamPort ?? 0
    return { host, address: '127.0.0.1', streamPort }
  }

  /** Waits for a report that makes the predicate true. */
  async until(what: string, predicate: () => boolean): Promise<void> {
    if (predicate()) return
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#watchers.delete(watcher)
        const seen = JSON.stringify(
          [...this.#reports.values()].map(({ host, containers, migrations, imageTasks }) => ({
            host,
            containers,
            migrations,
            imageTasks,
          })),
        )
        reject(new Error(`waited ${waitMs} ms for: ${what}; reports: ${seen}`))
      }, waitMs)
      const watcher = () => {
        if (!predicate()) return
        clearTimeout(timer)
        this.#watchers.delete(watcher)
        resolve()
      }
      this.#watchers.add(watcher)
    })
  }

  /** Commits (with the next revision) and pushes one assignment. */
  assign(host: string, assignment: Omit<Assignment, 'revision'>): Assignment {
    const whole = { ...assignment, revision: ++this.index }
    const ofHost = this.#assigned.get(host) ?? new Map<string, Assignment>()
    this.#assigned.set(host, ofHost.set(assignment.container, whole))
    this.publish(host, { ...this.#head(false), assignments: [whole] })
    return whole
  }

  /** What was assigned last. */
  assigned(host: string, container: string): Assignment {
    return this.#assigned.get(host)?.get(container) as Assignment
  }

  /** Takes a container out of what a host has, and tells it by a complete batch. */
  unassign(host: string, container: string): void {
    this.index++
    this.#assigned.get(host)?.delete(container)
    this.publish(host, { ...this.#head(true), assignments: [...(this.#assigned.get(host)?.values() ?? [])] })
  }

  buildImage(host: string, task: ImageTask): void {
    this.imageTasks = [task]
    this.publish(host, { ...this.#head(false), assignments: [] })
  }

  publish(host: string, message: unknown): void {
    const text = typeof message === 'string' ? message : JSON.stringify(message)
    this.#connection.publish(subjects.assignments(cluster, host), text)
  }

  async close(): Promise<void> {
    for (const host of this.hosts) await host.stop()
    await this.#connection.close()
    this.#nats.kill('SIGKILL')
    for (const { config } of this.hosts) await removeDirectory(checkpointRootFor(config.dataDirectory))
    await removeDirectory(this.directory)
  }

  #head(complete: boolean) {
    return { term: this.term, index: this.index, complete, imageTasks: this.imageTasks }
  }
}

export class TestHost {
  readonly name: string
  readonly directory: string
  readonly #cluster: TestCluster
  engine!: SimulatedEngine
  agent!: Agent

  constructor(owner: TestCluster, name: string) {
    this.#cluster = owner
    this.name = name
    this.directory = join(owner.directory, name)
    mkdirSync(this.faultDirectory, { recursive: true })
  }

  /** A file in it holds the agent at the point of its name. */
  get faultDirectory(): string {
    return join(this.directory, 'faults')
  }

  get config(): AgentConfig {
    return {
      cluster,
      host: this.name,
      dataDirectory: join(this.directory, 'agent'),
      engineSocket: join(this.directory, 'engine.sock'),
      address: '127.0.0.1',
      grpcPort: 0,
      streamPort: 0,
      secret,
      natsServers: this.#cluster.servers,
      capacity: null,
      faultDirectory: this.faultDirectory,
    }
  }

  async startEngine(bootId?: string): Promise<void> {
    this.engine = new SimulatedEngine(
      {
        socket: this.config.engineSocket,
        stateDirectory: join(this.directory, 'engine'),
        cgroup: '/drover',
        bridge: 'br0',
        criu: null,
        criuReason: 'simulated',
      },
      bootId,
    )
    await this.engine.start()
  }

  async startAgent(): Promise<void> {
    this.agent = new Agent(this.config, quiet)
    await this.agent.start()
  }

  async stop(): Promise<void> {
    await this.agent.stop()
    await this.engine.close()
  }

  engineState(container: string): string | undefined {
    return this.engine.containers.list().find((one) => one.container === container)?.state
  }
}

/** A tiny image with one file, put straight into a host's store before its agent starts, or into any directory. */
export async function addTinyImage(dataDirectory: string, text = 'hello'): Promise<string> {
  mkdirSync(dataDirectory, { recursive: true })
  const images = new ImageStore(dataDirectory)
  const staged = images.stage()
  mkdirSync(join(staged, 'draft'))
  writeFileSync(join(staged, 'draft', 'file'), text)
  const { digest, sizeBytes } = await packLayer(join(staged, 'draft'), join(staged, 'layer.tar'), 'root')
  rmSync(join(staged, 'draft'), { recursive: true })
  await unpackLayer(join(staged, 'layer.tar'), join(staged, 'rootfs'))
  await images.publish(staged, { digest, name: 'tiny', sizeBytes, init: ['/sbin/init'] })
  return digest
}

export function assignmentFor(
  container: string,
  image: string,
  more: Partial<Assignment> = {},
): Omit<Assignment, 'revision'> {
  const serial = Number(container.slice(1))
  return {
    container,
    name: `name-${container}`,
    role: 'owner',
    epoch: 1,
    desired: 'running',
    spec: {
      image,
      imageName: 'tiny',
      requests: { cpuMilli: 100, memoryBytes: 64 << 20, diskBytes: 0, pids: 100 },
      init: ['/sbin/init'],
      environment: {},
      labels: {},
    },
    identity: {
      serial,
      uidBase: 1_000_000 + serial * 65_536,
      mac: '02:64:00:00:00:01',
      ipv4: '10.77.1.1/16',
      gateway: null,
      machineId: '0'.repeat(32),
    },
    imageSources: [],
    migration: null,
    ...more,
  }
}

async function startNats(configuration: string): Promise<[ChildProcess, number]> {
  writeFileSync(configuration, `listen: "127.0.0.1:-1"\nauthorization { token: "${secret}" }\nmax_payload: 8388608\n`)
  const child = spawn('nats-server', ['-c', configuration], { stdio: ['ignore', 'ignore', 'pipe'] })
  const port = await new Promise<number>((resolve, reject) => {
    let log = ''
    child.once('error', reject)
    child.once('exit', () => reject(new Error(`nats-server ended: ${log}`)))
    child.stderr?.on('data', (chunk: Buffer) => {
      log += chunk.toString()
      const found = /client connections on 127\.0\.0\.1:(\d+)/.exec(log)?.[1]
      if (found && log.includes('Server is ready')) resolve(Number(found))
    })
  })
  child.removeAllListeners('exit')
  return [child, port]
}

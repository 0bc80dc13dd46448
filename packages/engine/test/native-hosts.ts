// Two or more "hosts" on one machine for tests of the native engine: each has its own network, mount and cgroup namespace, its
// own tmpfs on /run, and a bridge that is linked to a common one. They hang on holder processes that end when their stdin
// does, so a killed test leaves no namespace behind; close() also checks that nothing else is left.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { release, tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { removeDirectory } from '@drover/testkit/temporary'
import { EngineClient } from '../src/client.ts'
import { hierarchies, makeCgroup, removeCgroups } from './cgroup-hierarchies.ts'
import { childrenOf, textOfProc } from './proc.ts'
import { mountState, type StateFileSystem } from './state-mount.ts'

const startDeadlineMs = 60_000
const endDeadlineMs = 60_000
/** The engine has sanitizers (deploy/test-sanitized): it takes much more memory, and looks for leaks where it ends in good order. */
export const sanitized = process.env.DROVER_SANITIZED === 'yes'
const lastSignal = sanitized ? 'SIGTERM' : 'SIGKILL'

/** Waits until the condition gives something that is not null, undefined or false. */
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
  deadlineMs = 60_000,
): Promise<Exclude<T, null | undefined | false>> {
  const end = performance.now() + deadlineMs
  for (;;) {
    const value = await condition()
    if (value !== null && value !== undefined && value !== false) return value as Exclude<T, null | undefined | false>
    if (performance.now() > end) throw new Error(`waited ${deadlineMs} ms in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

export function kernelIsAtLeast(major: number, minor: number): boolean {
  const [ownMajor = 0, ownMinor = 0] = release().split('.').map(Number.parseFloat)
  return ownMajor > major || (ownMajor === major && ownMinor >= minor)
}

/** A process that holds namespaces until its stdin ends. */
async function hold(script: string): Promise<ChildProcess> {
  const child = spawn('bash', ['-c', script], { stdio: ['pipe', 'pipe', 'pipe'], cwd: '/' })
  let output = ''
  child.stdout.on('data', (chunk) => {
    output += chunk
  })
  child.stderr.on('data', (chunk) => {
    output += chunk
  })
  await until(
    `a holder of namespaces (${output})`,
    () => {
      if (child.exitCode !== null) throw new Error(`a holder of namespaces ended: ${output}`)
      return output.includes('ready')
    },
    startDeadlineMs,
  )
  return child
}

function inside(holder: ChildProcess, kinds: string[], command: string[]): string {
  return execFileSync('nsenter', ['-t', String(holder.pid), ...kinds, ...command], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

export class TestNetwork {
  readonly directory = mkdtempSync(join(tmpdir(), 'drover-engine-'))
  readonly hosts: TestHost[] = []
  readonly #fabric: ChildProcess
  readonly #client: ChildProcess
  readonly #streams: LineStream[] = []
  #links = 0

  private constructor(fabric: ChildProcess, client: ChildProcess) {
    this.#fabric = fabric
    this.#client = client
  }

  /** A common bridge, and a client at `clientAddress` on it. */
  static async make(clientAddress: string): Promise<TestNetwork> {
    const network = new TestNetwork(
      await hold(
        'exec unshare -n bash -c "ip link set lo up; ip link add br0 type bridge; ip link set br0 up; echo ready; exec cat"',
      ),
      await hold('exec unshare -n bash -c "ip link set lo up; echo ready; exec cat"'),
    )
    network.link(network.#client, 'eth0')
    inside(network.#client, ['-n'], ['ip', 'addr', 'add', clientAddress, 'dev', 'eth0'])
    return network
  }

  /** A cable from the common bridge into a holder's namespace, where it is called `name`. */
  link(holder: ChildProcess, name: string): void {
    const port = `p${this.#links++}`
    inside(
      this.#fabric,
      ['-n'],
      ['ip', 'link', 'add', port, 'type', 'veth', 'peer', 'name', name, 'netns', String(holder.pid)],
    )
    inside(this.#fabric, ['-n'], ['ip', 'link', 'set', port, 'master', 'br0', 'up'])
    inside(holder, ['-n'], ['ip', 'link', 'set', name, 'up'])
  }

  async addHost(name: string, engine: EngineOptions): Promise<TestHost> {
    const host = await TestHost.make(this, name, engine)
    this.hosts.push(host)
    return host
  }

  /** Lines that a TCP server sends, as they arrive at the client. */
  stream(address: string, port: number): LineStream {
    const stream = LineStream.open(['-t', String(this.#client.pid), '-n'], address, port)
    this.#streams.push(stream)
    return stream
  }

  async close(): Promise<string[]> {
    for (const stream of this.#streams) stream.close()
    const left: string[] = []
    for (const host of this.hosts) left.push(...(await host.close()))
    this.#client.stdin?.end()
    this.#fabric.stdin?.end()
    await removeDirectory(this.directory)
    return left
  }
}

const receiver = `
const [address, port] = process.argv.slice(1)
const socket = require('node:net').connect(Number(port), address)
socket.pipe(process.stdout)
socket.on('error', (error) => { console.error(error.message); process.exitCode = 1 })
`

export class LineStream {
  readonly lines: string[] = []
  /** Why the connection ended; null while it is open. */
  ended: string | null = null
  readonly #child: ChildProcess

  constructor(child: ChildProcess) {
    this.#child = child
    let rest = ''
    let errors = ''
    child.stdout?.on('data', (chunk: Buffer) => {
      const parts = (rest + chunk.toString()).split('\n')
      rest = parts.pop() as string
      this.lines.push(...parts)
    })
    child.stderr?.on('data', (chunk: Buffer) => {
      errors += chunk.toString()
    })
    child.on('close', (code) => {
      this.ended = errors.trim() || `ended with ${code}`
    })
  }

  /** Lines that a TCP server sends; `network`: what nsenter is to enter. */
  static open(network: string[], address: string, port: number): LineStream {
    return new LineStream(spawn('nsenter', [...network, process.execPath, '-e', receiver, address, String(port)]))
  }

  /** Resolves when `count` more lines than now have come. */
  async more(count: number): Promise<void> {
    const goal = this.lines.length + count
    await until(`${count} more lines`, () => {
      if (this.ended !== null) throw new Error(`the connection broke: ${this.ended}`)
      return this.lines.length >= goal
    })
  }

  close(): void {
    this.#child.kill('SIGKILL')
  }
}

export interface EngineOptions {
  binary: string
  criu: string | null
  /** Each host's state is on a file system of its own, as different machines' are: a handle of one's file means nothing to the other. */
  separateState?: StateFileSystem | null
}

export class TestHost {
  readonly name: string
  readonly socket: string
  readonly stateDirectory: string
  readonly #directory: string
  readonly #engineOptions: EngineOptions
  readonly #holder: ChildProcess
  /** The host's cgroup in each hierarchy, as this process sees it. */
  readonly cgroups: string[]
  #engine: ChildProcess | null = null
  #client: EngineClient | null = null

  private constructor(directory: string, name: string, holder: ChildProcess, cgroups: string[], engine: EngineOptions) {
    this.name = name
    this.#directory = directory
    this.socket = join(directory, 'engine.sock')
    this.stateDirectory = join(directory, 'state')
    this.#holder = holder
    this.cgroups = cgroups
    this.#engineOptions = engine
  }

  static async make(network: TestNetwork, name: string, engine: EngineOptions): Promise<TestHost> {
    const directory = join(network.directory, name)
    mkdirSync(join(directory, 'state'), { recursive: true })
    if (engine.separateState) mountState(join(directory, 'state'), engine.separateState)
    const group = `drover-test-${randomBytes(3).toString('hex')}-${name}`
    const all = hierarchies()
    const cgroups = all.map(({ mountPoint }) => makeCgroup(mountPoint, group))
    const mounts = all
      .map(({ mountPoint, options }) =>
        options === null
          ? `mkdir -p ${mountPoint}; mount -t cgroup2 cgroup2 ${mountPoint}`
          : `mkdir -p ${mountPoint}; mount -t cgroup -o ${options} cgroup ${mountPoint}`,
      )
      .join('\n')
    const pure = all.length === 1 && all[0]?.mountPoint === '/sys/fs/cgroup'
    const script = `set -e
      for g in ${cgroups.join(' ')}; do echo $$ > $g/cgroup.procs; done
      exec unshare -m -n -C --propagation private bash -ec '
        mount -t tmpfs -o mode=755 run /run
        ${pure ? 'umount /sys/fs/cgroup' : 'mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup'}
        ${mounts}
        for m in ${all.map((h) => h.mountPoint).join(' ')}; do mkdir $m/daemons; echo $$ > $m/daemons/cgroup.procs; done
        ip link set lo up; ip link add br0 type bridge; ip link set br0 up
        echo ready; exec cat'`
    const holder = await hold(script)
    const host = new TestHost(directory, name, holder, cgroups, engine)
    network.link(holder, 'uplink')
    inside(holder, ['-n'], ['ip', 'link', 'set', 'uplink', 'master', 'br0'])
    return host
  }

  get client(): EngineClient {
    if (this.#client === null) throw new Error(`the engine of ${this.name} does not run`)
    return this.#client
  }

  /** A path of this host, e.g. below its /run, as this process can open it. */
  path(path: string): string {
    return `/proc/${this.#holder.pid}/root${path}`
  }

  async startEngine(environment: Record<string, string> = {}): Promise<EngineClient> {
    const config = join(this.#directory, 'engine.json')
    writeFileSync(
      config,
      JSON.stringify({
        socket: this.socket,
        stateDirectory: this.stateDirectory,
        cgroup: '/drover',
        bridge: 'br0',
        criu: this.#engineOptions.criu,
        criuReason: this.#engineOptions.criu === null ? 'none in this test' : 'self-test passed',
      }),
    )
    const log = openSync(join(this.#directory, 'engine.log'), 'a')
    const enter = this.cgroups.map((g) => `echo $$ > ${g}/daemons/cgroup.procs`).join('; ')
    const command = `${enter}; exec nsenter -t ${this.#holder.pid} -m -n -C ${this.#engineOptions.binary} ${config}`
    const engine = spawn('bash', ['-ec', command], {
      stdio: ['ignore', log, log],
      cwd: '/',
      env: { ...process.env, ...environment },
    })
    this.#engine = engine
    const client = await until(
      `the engine of ${this.name}`,
      async () => {
        if (engine.exitCode !== null || engine.signalCode !== null) throw new Error(`the engine ended: ${this.log()}`)
        return existsSync(this.socket) && (await EngineClient.connect(this.socket).catch(() => null))
      },
      startDeadlineMs,
    )
    this.#client = client
    return client
  }

  /** The arguments of nsenter, for a process in the network of this host. */
  get network(): string[] {
    return ['-t', String(this.#holder.pid), '-n']
  }

  /** A command among the interfaces and mounts of this host. */
  run(command: string[]): string {
    return inside(this.#holder, ['-m', '-n'], command)
  }

  /** The queueing disciplines of an interface, here or in the network of a process. */
  queues(device: string, pid = this.#holder.pid): string {
    return execFileSync('nsenter', ['-t', String(pid), '-n', 'tc', 'qdisc', 'show', 'dev', device], {
      encoding: 'utf8',
    })
  }

  /** As `ip` and `bridge` describe a link of this host. */
  link(device: string): string {
    const script = `ip link show dev ${device}; bridge -d link show dev ${device}`
    return execFileSync('nsenter', ['-t', String(this.#holder.pid), '-n', 'sh', '-c', script], { encoding: 'utf8' })
  }

  log(): string {
    return readFileSync(join(this.#directory, 'engine.log'), 'utf8')
  }

  /** Whether v1's device controller is there; cgroup v2 has none of that name. */
  hasDeviceCgroup(): boolean {
    return this.cgroups.some((group) => existsSync(join(group, 'devices.list')))
  }

  get enginePid(): number | undefined {
    return this.#engine?.pid
  }

  /** The children of the engine with this name. */
  children(name: string): number[] {
    const pid = this.#engine?.pid
    if (pid === undefined) return []
    const children = readdirSync(`/proc/${pid}/task`).flatMap((thread) => childrenOf(pid, thread))
    return children.filter((child) => textOfProc(`${child}/comm`).trim() === name)
  }

  /** Waits for an engine that is to end by itself; the signal that ended it. */
  async engineEnded(): Promise<NodeJS.Signals | null> {
    const engine = this.#engine
    if (engine === null) throw new Error(`the engine of ${this.name} does not run`)
    await until(`the engine of ${this.name} to end`, () => engine.exitCode !== null || engine.signalCode !== null)
    await this.killEngine()
    return engine.signalCode
  }

  /** kill -9; containers must not notice. */
  killEngine(): Promise<void> {
    return this.endEngine('SIGKILL')
  }

  async endEngine(signal: NodeJS.Signals): Promise<void> {
    const engine = this.#engine
    this.#client?.close()
    this.#client = null
    if (engine === null) return
    engine.kill(signal)
    await until(
      `the engine of ${this.name} to end`,
      () => engine.exitCode !== null || engine.signalCode !== null,
      endDeadlineMs,
    )
    this.#engine = null
  }

  /** How many processes are in a container's cgroup, asked of the kernel. */
  processes(container: string): number {
    const files = this.cgroups.map((group) => join(group, 'drover', container, 'cgroup.procs')).filter(existsSync)
    return Math.max(0, ...files.map((file) => readFileSync(file, 'utf8').split('\n').length - 1))
  }

  /** The directory names of the hierarchies in which a container has a cgroup of its own. */
  hierarchiesOf(container: string): string[] {
    return this.cgroups.filter((group) => existsSync(join(group, 'drover', container))).map((g) => basename(dirname(g)))
  }

  /** What of containers is on this host: processes, cgroups, veths, mounts. */
  leftovers(): string[] {
    const left: string[] = []
    for (const group of this.cgroups) {
      const parent = join(group, 'drover')
      if (!existsSync(parent)) continue
      for (const entry of readdirSync(parent, { withFileTypes: true }))
        if (entry.isDirectory() && !entry.name.startsWith('.')) left.push(`cgroup ${parent}/${entry.name}`)
    }
    for (const link of inside(this.#holder, ['-n'], ['ls', '/proc/self/net/dev_snmp6']).split('\n'))
      if (/^d[vn][0-9a-f]/.test(link)) left.push(`link ${link}`)
    for (const line of readFileSync(`/proc/${this.#holder.pid}/mountinfo`, 'utf8').split('\n'))
      if (line.includes(`${this.stateDirectory}/`)) left.push(`mount ${line}`)
    for (const entry of readdirSync(this.stateDirectory))
      if (!['engine.lock', '.lxcfs', '.bottom'].includes(entry)) left.push(`state ${entry}`)
    return left
  }

  /** Ends all; returns what the containers had left behind. */
  async close(): Promise<string[]> {
    const left = this.leftovers()
    await this.endEngine(lastSignal)
    const unified = this.cgroups.find((g) => existsSync(join(g, 'cgroup.kill')))
    if (unified !== undefined) writeFileSync(join(unified, 'cgroup.kill'), '1')
    this.#holder.stdin?.end()
    await until(`the cgroups of ${this.name} to go`, () => {
      for (const group of this.cgroups) removeCgroups(group)
      return this.cgroups.every((group) => !existsSync(group))
    })
    if (this.#engineOptions.separateState) execFileSync('umount', [this.stateDirectory])
    return left
  }
}

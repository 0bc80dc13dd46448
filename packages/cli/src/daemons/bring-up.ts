// `drover up`: one machine as a whole cluster: nats-server, engine, one controller on the embedded log, one agent. Starts only
// what does not run, so that it can be said again at any time; stopping leaves the containers running.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { ClientConfig, ClusterStatus } from '@drover/protocol'
import { DroverError } from '@drover/protocol/plain'
import { agentDaemon } from './agent.ts'
import { ensureCertificate } from './authority.ts'
import { controllerDaemon } from './controller.ts'
import { type Daemon, type DaemonKind, daemonKinds, runningDaemon, startDaemon, stopDaemon } from './daemon.ts'
import { engineDaemon, engineState } from './engine.ts'
import { criuChoice, type EngineKind, findNatsServer } from './installation.ts'
import { ensureNat, nftThere, removeNat } from './nat.ts'
import { natsDaemon } from './nats.ts'
import {
  bridgeName,
  defaultClientFile,
  ensureSettings,
  isRoot,
  type NodeSettings,
  readSettings,
  writeJson,
} from './node-settings.ts'
import { waitUntil } from './wait-until.ts'

export interface BringUpOptions {
  data: string
  /** null: the one that the cluster has, native for a new one. */
  engine: EngineKind | null
  /** Whether containers reach the outside; null: as before, for a new cluster they do. */
  nat?: boolean | null
  /** Whether the agent raises the kernel's settings for many containers; null: as before, for a new cluster it does. */
  tuneHost?: boolean | null
  onProgress: (line: string) => void
}

export interface NodeUp {
  settings: NodeSettings
  endpoint: string
  /** The client configuration that commands find. */
  clientFile: string
  /** Whether commands find it without DROVER_CONFIG. */
  clientFileIsDefault: boolean
  daemons: { kind: DaemonKind; outcome: 'started' | 'running' }[]
  status: ClusterStatus
}

/** The agent reports within a second of its start; a busy machine gets more. */
const joinDeadlineMs = 30_000
const loopback = '127.0.0.1'
/** A unix socket's path may have 107 bytes; a deeper data directory cannot be used. */
const maxSocketPath = 107

export async function bringUp({
  data,
  engine,
  nat = null,
  tuneHost = null,
  onProgress,
}: BringUpOptions): Promise<NodeUp> {
  const wanted = engine ?? readSettings(data)?.engine ?? 'native'
  if (wanted === 'native' && !isRoot()) {
    throw new DroverError('WRONG_STATE', 'drover up: real containers need root; use sudo, or --engine simulated')
  }
  const settings = ensureSettings(data, engine, { nat, tuneHost })
  if (settings.engine === 'native') {
    ensureBridge(settings)
    bringNat(data, settings, onProgress)
  }
  const outcomes: NodeUp['daemons'] = []
  for (const daemon of nodeDaemons(data, settings)) {
    const outcome = await startDaemon(daemon)
    onProgress(`${daemon.kind}: ${outcome === 'started' ? 'started' : 'runs already'}`)
    outcomes.push({ kind: daemon.kind, outcome })
  }
  const endpoint = `http://${loopback}:${settings.ports.api}`
  const client: ClientConfig = { endpoints: [endpoint], secret: settings.secret }
  const file = writeClientFiles(data, client)
  const status = await waitUntil('the host to join', joinDeadlineMs, () => joined(client))
  return {
    settings,
    endpoint,
    clientFile: file.path,
    clientFileIsDefault: file.isDefault,
    daemons: outcomes,
    status,
  }
}

/** An hour for each of a few priorities would be meant; what takes longer hangs. */
const stopContainersDeadlineMs = 4 * 3_600_000

/** Stops the daemons, those first that use the others. Containers are not touched, or stopped in their order by the agent. */
export async function bringDown(
  data: string,
  onProgress: (line: string) => void,
  { stopContainers = false } = {},
): Promise<DaemonKind[]> {
  const stopped: DaemonKind[] = []
  for (const kind of [...daemonKinds].reverse()) {
    const outcome =
      kind === 'agent' && stopContainers
        ? await stopDaemon(join(data, kind), stopContainersDeadlineMs, 'SIGUSR2')
        : await stopDaemon(join(data, kind))
    if (outcome === 'absent' && kind === 'agent' && stopContainers) {
      throw new DroverError(
        'WRONG_STATE',
        'drover down --stop-containers: the agent, which does it, does not run; say drover up first',
      )
    }
    if (outcome === 'absent') continue
    onProgress(`${kind}: ${outcome}`)
    stopped.push(kind)
  }
  return stopped
}

/** Only when no container is left: they are attached to it. */
export function removeBridge(): void {
  if (existsSync(`/sys/class/net/${bridgeName}`)) execFileSync('ip', ['link', 'delete', bridgeName])
}

export const isNodeUp = (data: string): boolean => daemonKinds.every((kind) => runningDaemon(join(data, kind)) !== null)

function nodeDaemons(data: string, settings: NodeSettings): Daemon[] {
  const program = findNatsServer()
  if (program === null) {
    throw new DroverError('WRONG_STATE', 'drover up: there is no nats-server; install Debian’s package nats-server')
  }
  const { ports, secret, cluster, host } = settings
  const tls = ensureCertificate({
    authority: join(data, 'authority'),
    directory: join(data, 'tls'),
    cluster,
    host,
    addresses: [loopback],
  })
  const natsServers = [`nats://${loopback}:${ports.nats}`]
  const socket = settings.engine === 'native' ? '/run/drover/engine.sock' : join(data, 'engine.sock')
  if (socket.length > maxSocketPath) {
    throw new DroverError('BAD_REQUEST', `drover up --data ${data}: the path is too long for a socket in it`)
  }
  mkdirSync(dirname(socket), { recursive: true, mode: 0o700 })
  const criu = criuChoice()
  const common = { owner: host, prefix: [] }
  return [
    natsDaemon({
      ...common,
      name: host,
      directory: join(data, 'nats'),
      program,
      cluster,
      secret,
      address: loopback,
      port: ports.nats,
      routes: null,
      tls,
    }),
    engineDaemon({
      ...common,
      kind: settings.engine,
      directory: join(data, 'engine'),
      config: {
        socket,
        stateDirectory: engineState(data),
        cgroup: '/drover',
        bridge: bridgeName,
        criu: criu.usable ? criu.path : null,
        criuReason: criu.reason,
      },
    }),
    controllerDaemon({
      prefix: [],
      directory: join(data, 'controller'),
      config: {
        cluster,
        name: host,
        dataDirectory: join(data, 'controller', 'data'),
        apiAddress: loopback,
        apiPort: ports.api,
        secret,
        natsServers,
        raft: null,
        tls,
        containerNetwork: `${settings.network}.0.0/16`,
        ...(settings.network6 === undefined ? {} : { containerNetwork6: settings.network6 }),
        gateway: settings.engine === 'native' ? `${settings.network}.0.1` : null,
      },
    }),
    agentDaemon({
      prefix: [],
      directory: join(data, 'agent'),
      config: {
        cluster,
        host,
        dataDirectory: join(data, 'agent', 'data'),
        engineSocket: socket,
        address: loopback,
        grpcPort: ports.grpc,
        streamPort: ports.stream,
        tls,
        secret,
        natsServers,
        capacity: null,
        ...(settings.engine === 'native' && settings.tuneHost !== false ? { tuneHost: true } : {}),
      },
    }),
  ]
}

/** The bridge has a MAC of its own, else it would change with each container that comes or goes. */
function ensureBridge(settings: NodeSettings): void {
  if (existsSync(`/sys/class/net/${bridgeName}`)) return
  const lines = [
    `link add name ${bridgeName} address 02:d0:00:00:00:01 type bridge stp_state 0 forward_delay 0 mcast_snooping 0`,
    `address add ${settings.network}.0.1/16 dev ${bridgeName}`,
    ...(settings.network6 !== undefined && existsSync('/proc/sys/net/ipv6')
      ? [`address add ${settings.network6.replace('::/64', '::1/64')} dev ${bridgeName} nodad`]
      : []),
    `link set ${bridgeName} up`,
  ]
  try {
    execFileSync('ip', ['-batch', '-'], { input: `${lines.join('\n')}\n`, stdio: ['pipe', 'pipe', 'pipe'] })
  } catch (cause) {
    const said = String((cause as { stderr?: Buffer }).stderr ?? cause).trim()
    throw new DroverError('WRONG_STATE', `drover up: make bridge ${bridgeName}: ${said}`, { cause })
  }
}

/** Without nft containers run all the same: they only don't reach the outside, which is said. */
function bringNat(data: string, settings: NodeSettings, onProgress: (line: string) => void): void {
  if (settings.nat === false) removeNat(data)
  else if (nftThere()) ensureNat(data, `${settings.network}.0.0/16`)
  else onProgress('containers will not reach the outside: there is no nft (Debian’s package nftables); or say --no-nat')
}

/** A file of another cluster is never overwritten: then the one in the data directory is to be named by DROVER_CONFIG. */
function writeClientFiles(data: string, client: ClientConfig): { path: string; isDefault: boolean } {
  const own = join(data, 'client.json')
  writeJson(own, client)
  const standard = defaultClientFile()
  if (existsSync(standard)) {
    const text = readFileSync(standard, 'utf8')
    if (text === readFileSync(own, 'utf8')) return { path: standard, isDefault: true }
    if (!text.includes(client.endpoints[0] as string)) return { path: own, isDefault: false }
  }
  mkdirSync(dirname(standard), { recursive: true, mode: 0o755 })
  writeJson(standard, client)
  return { path: standard, isDefault: true }
}

async function joined(client: ClientConfig): Promise<ClusterStatus | null> {
  const response = await fetch(`${client.endpoints[0]}/v1/status`, {
    headers: { authorization: `Bearer ${client.secret}` },
    signal: AbortSignal.timeout(4_000),
  })
  if (!response.ok) return null
  const status = (await response.json()) as ClusterStatus
  return status.hostsReady >= 1 ? status : null
}

// `drover up`: this machine as a cluster of its own (nats-server, engine, one controller on the embedded log, one agent), or, with a
// token, as a host of another one (engine and agent). Starts only what does not run, so that it can be said again at any time;
// stopping leaves the containers running.

import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { ClientConfig, ClusterStatus, HostView, Image } from '@drover/protocol'
import { DroverError, decodeJoinToken, paths } from '@drover/protocol/plain'
import { ensureBridge } from './bridge.ts'
import { type DaemonKind, daemonKinds, runningDaemon, startDaemon, stopDaemon } from './daemon.ts'
import { checkAddress } from './host-address.ts'
import type { EngineKind } from './installation.ts'
import { joinCluster } from './join-cluster.ts'
import { ensureNat, nftThere, removeNat } from './nat.ts'
import { endpointsOf, kindsOf, nodeDaemons } from './node-daemons.ts'
import {
  defaultClientFile,
  ensureSettings,
  isRoot,
  keepJoined,
  type NodeSettings,
  readSettings,
  writeJson,
} from './node-settings.ts'
import { FatalWait, waitUntil } from './wait-until.ts'

export interface BringUpOptions {
  data: string
  /** null: the one that the cluster has, native for a new one. */
  engine: EngineKind | null
  /** Where other hosts reach this one; null: as before, at first loopback, or with a token the address that leads to the controller. */
  address?: string | null
  /** The token by which it becomes a host of another cluster. */
  join?: string | null
  /** A bridge that is there, for the containers of a host that joins; null: as before, at first one of drover's own. */
  bridge?: string | null
  /** Whether containers reach the outside; null: as before, for a new cluster they do. */
  nat?: boolean | null
  /** Whether the agent raises the kernel's settings for many containers; null: as before, for a new cluster it does. */
  tuneHost?: boolean | null
  /** Where commands look for the cluster; null: where they do without being told. */
  clientFile?: string | null
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
  /** Names of those that it has. */
  images: string[]
}

/** The agent reports within a second of its start; a busy machine gets more. */
const joinDeadlineMs = 60_000
const questionDeadlineMs = 4_000

export async function bringUp(options: BringUpOptions): Promise<NodeUp> {
  const { data, onProgress } = options
  const kept = readSettings(data)
  const wanted = options.engine ?? kept?.engine ?? 'native'
  if (wanted === 'native' && !isRoot()) {
    throw new DroverError('WRONG_STATE', 'drover up: real containers need root; use sudo, or --engine simulated')
  }
  if (options.address != null) checkAddress(options.address)
  const settings = options.join == null ? settingsOf(options) : await joinedSettings(options, options.join)
  if (kept !== null && differ(kept, settings)) await restartLater(data, onProgress)
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
  const client: ClientConfig = { endpoints: endpointsOf(settings), secret: settings.secret }
  const file = writeClientFiles(data, client, options.clientFile ?? defaultClientFile())
  const { status, images } = await waitUntil(`host ${settings.host} to join`, joinDeadlineMs, () =>
    joined(client, settings.host),
  )
  return {
    settings,
    endpoint: client.endpoints[0] as string,
    clientFile: file.path,
    clientFileIsDefault: file.isDefault,
    daemons: outcomes,
    status,
    images,
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

export const isNodeUp = (data: string, settings: NodeSettings): boolean =>
  kindsOf(settings).every((kind) => runningDaemon(join(data, kind)) !== null)

function settingsOf({ data, engine, address = null, nat = null, tuneHost = null }: BringUpOptions): NodeSettings {
  if (address !== null && readSettings(data)?.joined)
    throw new DroverError(
      'WRONG_STATE',
      'drover up --address: this host has joined a cluster, and its certificate is for the address that it has; join anew by a token made with --again',
    )
  return ensureSettings(data, engine, { address, nat, tuneHost })
}

/** The settings are written last: until then nothing has changed here. */
async function joinedSettings(options: BringUpOptions, token: string): Promise<NodeSettings> {
  const { data, engine, bridge = null, nat = null, tuneHost = null } = options
  const kept = readSettings(data)
  const { host } = decodeJoinToken(token)
  if (kept !== null && !(kept.joined && kept.host === host))
    throw new DroverError(
      'WRONG_STATE',
      `drover up --join: ${data} has ${kept.joined ? `host ${kept.host}` : 'a cluster of its own'}; use another --data directory, or remove that one after drover down`,
    )
  const address = options.address ?? kept?.address ?? null
  const directory = join(data, 'tls')
  mkdirSync(data, { recursive: true, mode: 0o711 })
  const joined = await joinCluster({ token, directory, address, onProgress: options.onProgress })
  return keepJoined(data, kept, engine, joined, { bridge, nat, tuneHost })
}

/** What the daemons were started with holds no longer. The engine goes on: it knows nothing of addresses. */
async function restartLater(data: string, onProgress: (line: string) => void): Promise<void> {
  for (const kind of ['agent', 'controller', 'nats'] as const) {
    if ((await stopDaemon(join(data, kind))) !== 'absent') onProgress(`${kind}: stopped, for its new settings`)
  }
}

const differ = (before: NodeSettings, now: NodeSettings): boolean =>
  before.address !== now.address || (now.joined !== undefined && now.joined.atMs !== before.joined?.atMs)

/** Without nft containers run all the same: they only don't reach the outside, which is said. */
function bringNat(data: string, settings: NodeSettings, onProgress: (line: string) => void): void {
  if (settings.bridge !== undefined) return
  if (settings.nat === false) removeNat(data)
  else if (nftThere()) ensureNat(data, `${settings.network}.0.0/16`)
  else onProgress('containers will not reach the outside: there is no nft (Debian’s package nftables); or say --no-nat')
}

/** A file of another cluster is never overwritten: then the one in the data directory is to be named by DROVER_CONFIG. */
function writeClientFiles(data: string, client: ClientConfig, standard: string): { path: string; isDefault: boolean } {
  const own = join(data, 'client.json')
  writeJson(own, client)
  if (existsSync(standard)) {
    const text = readFileSync(standard, 'utf8')
    if (text === readFileSync(own, 'utf8')) return { path: standard, isDefault: true }
    const ours = [client.secret, client.endpoints[0] as string].some((word) => text.includes(word))
    if (!ours) return { path: own, isDefault: false }
  }
  mkdirSync(dirname(standard), { recursive: true, mode: 0o755 })
  writeJson(standard, client)
  return { path: standard, isDefault: true }
}

/** Asks each controller; null as long as the host isn't heard. */
async function joined(
  { endpoints, secret }: ClientConfig,
  host: string,
): Promise<Pick<NodeUp, 'status' | 'images'> | null> {
  for (const endpoint of endpoints) {
    const ask = async <Answer>(path: string): Promise<Answer | DroverError | null> => {
      const headers = { authorization: `Bearer ${secret}` }
      const signal = AbortSignal.timeout(questionDeadlineMs)
      const response = await fetch(`${endpoint}${path}`, { headers, signal }).catch(() => null)
      if (response === null) return null
      const answer: unknown = await response.json()
      return response.ok ? (answer as Answer) : DroverError.fromJSON(answer)
    }
    const view = await ask<HostView>(paths.host(host))
    if (view instanceof DroverError && view.context.removed === true) throw new FatalWait(removed(host))
    if (view === null || view instanceof DroverError || view.status === 'silent' || view.status === 'lost') continue
    const status = await ask<ClusterStatus>(paths.status)
    if (status === null || status instanceof DroverError) continue
    const images = await ask<Image[]>(paths.images)
    return { status, images: Array.isArray(images) ? images.map(({ name }) => name) : [] }
  }
  return null
}

const removed = (host: string): DroverError =>
  new DroverError(
    'WRONG_STATE',
    `drover up: host ${host} was removed from the cluster; to take it in again, drover host token create ${host} there, and drover up --join here`,
  )

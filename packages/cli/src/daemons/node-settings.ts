// The settings of the single-machine cluster that `drover up` makes: chosen at the first start, kept in its data directory,
// the same at every later one.

import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { homedir, hostname, networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { DroverError } from '@drover/protocol/plain'
import { renameDurably } from './durable-rename.ts'
import type { EngineKind } from './installation.ts'
import type { Joined } from './join-cluster.ts'

export interface NodeSettings {
  cluster: string
  host: string
  engine: EngineKind
  secret: string
  /** First two numbers of the containers' network, e.g. `10.77`; the bridge has .0.1. */
  network: string
  /** The containers' /64 of unique local IPv6 addresses; the bridge has ::1. Absent in clusters made before there was one. */
  network6?: string
  /** false: containers reach the machine and each other, not the outside. */
  nat?: boolean
  /** false: the agent leaves the kernel's settings as they are. */
  tuneHost?: boolean
  /** Where other hosts reach this one; absent: they don't, it listens on loopback. */
  address?: string
  /** Of a host that has joined another's cluster: a bridge of the machine that its containers are linked to; absent: drover's own. */
  bridge?: string
  /** Absent: the cluster's first node, with a controller and a bus. */
  joined?: JoinedSettings
  ports: { api: number; nats: number; grpc: number; stream: number; join?: number }
}

/** What a host was told when it joined. */
export interface JoinedSettings {
  endpoints: string[]
  natsServers: string[]
  /** Of the containers; null: their network has none, or its own. */
  gateway: string | null
  atMs: number
}

export const bridgeName = 'drover0'
const defaultPorts = { api: 7070, nats: 7072, grpc: 7073, stream: 7074 } as const
/** The first of these that no interface uses yet. */
const networks = Array.from({ length: 150 }, (_, n) => `10.${77 + n}`)

export const isRoot = (): boolean => process.getuid?.() === 0

export function defaultDataDirectory(): string {
  if (isRoot()) return '/var/lib/drover'
  return join(process.env.XDG_DATA_HOME ?? join(homedir(), '.local', 'share'), 'drover')
}

/** Where the CLI looks without being told: see loadClientConfig. */
export function defaultClientFile(): string {
  if (isRoot()) return '/etc/drover/client.json'
  return join(process.env.XDG_CONFIG_HOME ?? join(homedir(), '.config'), 'drover', 'client.json')
}

export const settingsFile = (data: string) => join(data, 'node.json')

/** null when no cluster was ever made in this directory. */
export function readSettings(data: string): NodeSettings | null {
  const path = settingsFile(data)
  if (!existsSync(path)) return null
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as NodeSettings
  } catch (cause) {
    throw new DroverError('WRONG_STATE', `read ${path}: ${(cause as Error).message}`, { cause })
  }
}

/** What can be chosen again at each start; null: as before. */
export interface NodeChoices {
  address?: string | null
  bridge?: string | null
  nat?: boolean | null
  tuneHost?: boolean | null
}

/** Of a host that has joined, now or anew: the choices of before hold on. */
export function keepJoined(
  data: string,
  kept: NodeSettings | null,
  engine: EngineKind | null,
  { answer, address }: Joined,
  choices: NodeChoices,
): NodeSettings {
  const { cluster, host, secret, endpoints, natsServers, gateway, containerNetwork, containerNetwork6 } = answer
  const chosen = Object.fromEntries(Object.entries(choices).filter(([, choice]) => choice != null))
  const settings: NodeSettings = {
    nat: true,
    ports: { ...defaultPorts },
    ...kept,
    ...chosen,
    cluster,
    host,
    engine: engine ?? kept?.engine ?? 'native',
    secret,
    address,
    network: containerNetwork.split('.').slice(0, 2).join('.'),
    ...(containerNetwork6 === null ? {} : { network6: containerNetwork6 }),
    joined: { endpoints, natsServers, gateway, atMs: Date.now() },
  }
  writeJson(settingsFile(data), settings)
  return settings
}

/** The kept settings, with what is chosen otherwise now, else new ones; an engine other than the kept one is refused, since its containers would be lost. */
export function ensureSettings(data: string, engine: EngineKind | null, choices: NodeChoices = {}): NodeSettings {
  const chosen = Object.fromEntries(Object.entries(choices).filter(([, choice]) => choice !== null))
  const kept = readSettings(data)
  if (kept !== null) {
    if (engine !== null && engine !== kept.engine) {
      throw new DroverError(
        'WRONG_STATE',
        `drover up --engine ${engine}: the cluster in ${data} has the ${kept.engine} engine; use another --data directory`,
      )
    }
    const wanted = { ...kept, ...chosen }
    if (JSON.stringify(wanted) !== JSON.stringify(kept)) writeJson(settingsFile(data), wanted)
    return wanted
  }
  const settings: NodeSettings = {
    cluster: 'local',
    host: hostLabel(hostname()),
    engine: engine ?? 'native',
    secret: randomBytes(24).toString('base64url'),
    network: freeNetwork(),
    network6: uniqueLocalNetwork(),
    nat: true,
    ...chosen,
    ports: { ...defaultPorts },
  }
  mkdirSync(data, { recursive: true, mode: 0o711 })
  writeJson(settingsFile(data), settings)
  return settings
}

/** Whole or not at all, after a power cut, too, and readable by its owner alone: it may hold the secret. */
export function writeJson(path: string, value: unknown): void {
  writeFileSync(`${path}.new`, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 })
  renameDurably(`${path}.new`, path)
}

/** A machine's name as a DNS label. */
export function hostLabel(name: string): string {
  const label = (name.split('.')[0] ?? '')
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, '-')
    .slice(0, 63)
    .replace(/^-+|-+$/g, '')
  return label === '' ? 'host' : label
}

/** RFC 4193: 40 random bits after fd, subnet 0. */
function uniqueLocalNetwork(): string {
  const random = randomBytes(5).toString('hex')
  const groups = [`fd${random.slice(0, 2)}`, random.slice(2, 6), random.slice(6, 10)]
  return `${groups.map((group) => group.replace(/^0+(?=.)/, '')).join(':')}::/64`
}

function freeNetwork(): string {
  const taken = new Set(
    Object.values(networkInterfaces()).flatMap((list) =>
      (list ?? []).map(({ address }) => address.split('.').slice(0, 2).join('.')),
    ),
  )
  const free = networks.find((network) => !taken.has(network))
  if (free === undefined) throw new DroverError('LIMIT_REACHED', 'drover up: every network from 10.77 on is in use')
  return free
}

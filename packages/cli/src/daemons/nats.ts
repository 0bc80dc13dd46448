// The daemon `nats-server`: core NATS only, no JetStream, so that no state lives in the bus. Clients give the cluster
// secret as token and a certificate; servers of one cluster find each other by routes that carry both too.

import { availableParallelism } from 'node:os'
import type { TlsFiles } from '@drover/protocol'
import { maxMessageBytes } from '@drover/protocol/plain'
import { configFile, type Daemon } from './daemon.ts'
import { greetsAsNats } from './probes.ts'

export interface NatsOptions {
  name: string
  owner: string
  directory: string
  program: string
  prefix: string[]
  cluster: string
  secret: string
  address: string
  port: number
  /** null: a single server. */
  routes: { port: number; peers: { address: string; port: number }[] } | null
  tls: TlsFiles
}

/**
 * A Go program that has several processors wakes threads on them to look for work, for each message anew; they are the containers'. One passes on tens
 * of thousands of messages a second, so only large hosts give it more.
 */
const processorsPerBusProcessor = 4
export const busProcessors = (processors: number): number =>
  Math.max(1, Math.floor(processors / processorsPerBusProcessor))

export function natsDaemon(options: NatsOptions): Daemon {
  return {
    kind: 'nats',
    owner: options.owner,
    directory: options.directory,
    configText: natsConfig(options),
    environment: { GOMAXPROCS: String(busProcessors(availableParallelism())) },
    command: [options.program, '--config', configFile(options.directory)],
    prefix: options.prefix,
    ready: () => greetsAsNats(options.address, options.port),
  }
}

/** nats-server's own format; every string is quoted as JSON is, which it accepts. */
export function natsConfig(options: NatsOptions): string {
  const quote = JSON.stringify
  const lines = [
    `server_name: ${quote(options.name)}`,
    `host: ${quote(options.address)}`,
    `port: ${options.port}`,
    `authorization { token: ${quote(options.secret)} }`,
    `max_payload: ${maxMessageBytes}`,
    `max_pending: ${8 * maxMessageBytes}`,
    // A silent peer is found out within seconds: agents must not wait minutes on a dead host.
    'ping_interval: "5s"',
    'ping_max: 3',
    'write_deadline: "5s"',
    'logtime: true',
  ]
  lines.push(tlsBlock(options.tls))
  if (options.routes !== null) {
    const routes = options.routes.peers.map((peer) =>
      quote(`nats-route://drover:${encodeURIComponent(options.secret)}@${peer.address}:${peer.port}`),
    )
    lines.push(
      'cluster {',
      `  name: ${quote(options.cluster)}`,
      `  host: ${quote(options.address)}`,
      `  port: ${options.routes.port}`,
      `  authorization { user: "drover", password: ${quote(options.secret)}, timeout: 2 }`,
      `  routes: [${routes.join(', ')}]`,
      tlsBlock(options.tls),
      '}',
    )
  }
  return `${lines.join('\n')}\n`
}

/** Both sides show a certificate of the cluster's authority. */
function tlsBlock({ authority, certificate, key }: TlsFiles): string {
  const quote = JSON.stringify
  return [
    'tls {',
    `  ca_file: ${quote(authority)}`,
    `  cert_file: ${quote(certificate)}`,
    `  key_file: ${quote(key)}`,
    '  verify: true',
    '  timeout: 5',
    '}',
  ].join('\n')
}

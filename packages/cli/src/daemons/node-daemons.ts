// The daemons of a node that `drover up` keeps: on the first one all of them, on one that has joined the engine and the agent, which
// use the bus and the controllers that they were told of.

import { existsSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { TlsFiles } from '@drover/protocol'
import { DroverError } from '@drover/protocol/plain'
import { agentDaemon } from './agent.ts'
import { ensureCertificate, filesIn } from './authority.ts'
import { controllerDaemon } from './controller.ts'
import type { Daemon, DaemonKind } from './daemon.ts'
import { engineDaemon, engineState } from './engine.ts'
import { criuChoice, findNatsServer } from './installation.ts'
import { natsDaemon } from './nats.ts'
import { bridgeName, type NodeSettings } from './node-settings.ts'
import { overlayLink } from './overlay.ts'
import { ownScope } from './own-scope.ts'

export const loopback = '127.0.0.1'
/** A unix socket's path may have 107 bytes; a deeper data directory cannot be used. */
const maxSocketPath = 107
const standardJoinPort = 7075

export const addressOf = (settings: NodeSettings): string => settings.address ?? loopback

/** Its containers' bridge is drover's own, and there are others of the same kind. */
export const hasOverlay = (settings: NodeSettings): boolean =>
  settings.engine === 'native' && settings.address !== undefined && settings.bridge === undefined

/** The kinds that a node has, in the order of starting. */
export const kindsOf = (settings: NodeSettings): readonly DaemonKind[] =>
  settings.joined ? ['engine', 'agent'] : ['nats', 'engine', 'controller', 'agent']

export const endpointsOf = (settings: NodeSettings): string[] =>
  settings.joined?.endpoints ?? [`http://${addressOf(settings)}:${settings.ports.api}`]

export function nodeDaemons(data: string, settings: NodeSettings): Daemon[] {
  const tls = certificateOf(data, settings)
  const all = [engine(data, settings), agent(data, settings, tls)]
  if (settings.joined) return all
  return [nats(data, settings, tls), all[0] as Daemon, controller(data, settings, tls), all[1] as Daemon]
}

/** One that has joined was given its own, and can't make another. */
function certificateOf(data: string, settings: NodeSettings): TlsFiles {
  const directory = join(data, 'tls')
  const { cluster, host } = settings
  if (!settings.joined) {
    const addresses = [...new Set([addressOf(settings), loopback])]
    return ensureCertificate({ authority: join(data, 'authority'), directory, cluster, host, addresses })
  }
  const files = filesIn(directory)
  for (const path of Object.values(files))
    if (!existsSync(path))
      throw new DroverError(
        'WRONG_STATE',
        `drover up: ${path} is missing; have a token made by drover host token create ${host} --again, and join anew`,
      )
  return files
}

const natsServersOf = (settings: NodeSettings): string[] =>
  settings.joined?.natsServers ?? [`nats://${addressOf(settings)}:${settings.ports.nats}`]

function engineSocketOf(data: string, settings: NodeSettings): string {
  const socket = settings.engine === 'native' ? '/run/drover/engine.sock' : join(data, 'engine.sock')
  if (socket.length > maxSocketPath) {
    throw new DroverError('BAD_REQUEST', `drover up --data ${data}: the path is too long for a socket in it`)
  }
  return socket
}

function nats(data: string, settings: NodeSettings, tls: TlsFiles): Daemon {
  const program = findNatsServer()
  if (program === null) {
    throw new DroverError('WRONG_STATE', 'drover up: there is no nats-server; install Debian’s package nats-server')
  }
  const { cluster, secret, host, ports } = settings
  return natsDaemon({
    owner: host,
    prefix: ownScope('nats'),
    name: host,
    directory: join(data, 'nats'),
    program,
    cluster,
    secret,
    address: addressOf(settings),
    port: ports.nats,
    routes: null,
    tls,
  })
}

function engine(data: string, settings: NodeSettings): Daemon {
  const socket = engineSocketOf(data, settings)
  mkdirSync(dirname(socket), { recursive: true, mode: 0o700 })
  const criu = criuChoice()
  return engineDaemon({
    owner: settings.host,
    prefix: ownScope('engine'),
    kind: settings.engine,
    directory: join(data, 'engine'),
    config: {
      socket,
      stateDirectory: engineState(data),
      cgroup: '/drover',
      bridge: settings.bridge ?? bridgeName,
      criu: criu.usable ? criu.path : null,
      criuReason: criu.reason,
    },
  })
}

function controller(data: string, settings: NodeSettings, tls: TlsFiles): Daemon {
  const { cluster, secret, host, ports, address } = settings
  return controllerDaemon({
    prefix: ownScope('controller'),
    directory: join(data, 'controller'),
    config: {
      cluster,
      name: host,
      dataDirectory: join(data, 'controller', 'data'),
      apiAddress: addressOf(settings),
      apiPort: ports.api,
      secret,
      natsServers: natsServersOf(settings),
      raft: null,
      tls,
      ...(address === undefined
        ? {}
        : { join: { port: ports.join ?? standardJoinPort, authority: join(data, 'authority') } }),
      containerNetwork: `${settings.network}.0.0/16`,
      ...(settings.network6 === undefined ? {} : { containerNetwork6: settings.network6 }),
      gateway: settings.engine === 'native' ? `${settings.network}.0.1` : null,
    },
  })
}

function agent(data: string, settings: NodeSettings, tls: TlsFiles): Daemon {
  const { cluster, secret, host, ports } = settings
  return agentDaemon({
    prefix: ownScope('agent'),
    directory: join(data, 'agent'),
    config: {
      cluster,
      host,
      dataDirectory: join(data, 'agent', 'data'),
      engineSocket: engineSocketOf(data, settings),
      address: addressOf(settings),
      grpcPort: ports.grpc,
      streamPort: ports.stream,
      tls,
      secret,
      natsServers: natsServersOf(settings),
      capacity: null,
      ...(settings.engine === 'native' && settings.tuneHost !== false ? { tuneHost: true } : {}),
      ...(hasOverlay(settings) ? { overlay: overlayLink } : {}),
    },
  })
}

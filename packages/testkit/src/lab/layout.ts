// The daemons of each laboratory host: which ports, directories and configurations. The same on every host, as on separate
// machines: only the addresses differ.

import { join } from 'node:path'
import {
  agentDaemon,
  controllerDaemon,
  criuChoice,
  type Daemon,
  type DaemonKind,
  type EngineKind,
  engineDaemon,
  ensureCertificate,
  findNatsServer,
  natsDaemon,
} from '@drover/cli/daemons'
import { DroverError, type Resources, type TlsFiles } from '@drover/protocol'

export const ports = {
  nats: 4222,
  natsRoutes: 6222,
  raft: 7001,
  grpc: 7010,
  stream: 7011,
  api: 7070,
  join: 7075,
} as const
export const clusterName = 'lab'

export interface HostPlace {
  name: string
  index: number
  address: string
  directory: string
  prefix: string[]
  /** The engine's socket as its agent sees it. */
  engineSocket: string
  /** The same as the laboratory's owner sees it. */
  engineSocketFromHere: string
  hasController: boolean
}

export interface ClusterPlan {
  engine: EngineKind
  secret: string
  network: string
  containerNetwork: string
  /** null: simulated containers have no network. */
  containerNetwork6: string | null
  capacity: Resources | null
  layersDirectory: string | null
  engineEnvironment: Record<string, string>
  hosts: HostPlace[]
  /** Where the cluster's own authority is. */
  authority: string
}

/** Where tests arm points of the host's agent and steps of its engine. */
export const faultDirectory = (host: HostPlace) => join(host.directory, 'faults')

export const daemonDirectory = (host: HostPlace, kind: DaemonKind) => join(host.directory, kind)

/** The daemons of one host by kind; without the controller where it has none. */
export function daemonsOf(plan: ClusterPlan, host: HostPlace): Partial<Record<DaemonKind, Daemon>> {
  return {
    nats: nats(plan, host),
    engine: engine(plan, host),
    ...(host.hasController ? { controller: controller(plan, host) } : {}),
    agent: agent(plan, host),
  }
}

export const endpoints = (plan: ClusterPlan) =>
  plan.hosts.filter((host) => host.hasController).map((host) => `http://${host.address}:${ports.api}`)

/** Own server first, then the others, so that a host without its own bus still has one. */
const natsServers = (plan: ClusterPlan, host: HostPlace) =>
  [host, ...plan.hosts.filter((other) => other !== host)].map((at) => `nats://${at.address}:${ports.nats}`)

function nats(plan: ClusterPlan, host: HostPlace): Daemon {
  const program = findNatsServer()
  if (program === null) {
    throw new DroverError('WRONG_STATE', 'start laboratory: there is no nats-server: run deploy/bootstrap')
  }
  return natsDaemon({
    name: `nats-${host.name}`,
    owner: host.name,
    directory: daemonDirectory(host, 'nats'),
    program,
    prefix: host.prefix,
    cluster: clusterName,
    secret: plan.secret,
    address: host.address,
    port: ports.nats,
    tls: certificate(plan, host),
    routes: {
      port: ports.natsRoutes,
      peers: plan.hosts
        .filter((other) => other !== host)
        .map((other) => ({ address: other.address, port: ports.natsRoutes })),
    },
  })
}

function engine(plan: ClusterPlan, host: HostPlace): Daemon {
  const criu = criuChoice()
  const environment = { DROVER_FAULT_DIRECTORY: faultDirectory(host), ...plan.engineEnvironment }
  const settings = Object.entries(environment).map(([name, value]) => `${name}=${value}`)
  return engineDaemon({
    kind: plan.engine,
    owner: host.name,
    directory: daemonDirectory(host, 'engine'),
    prefix: [...host.prefix, 'env', ...settings],
    config: {
      socket: host.engineSocket,
      stateDirectory: join(host.directory, 'containers'),
      cgroup: '/drover',
      bridge: 'br0',
      criu: criu.usable ? criu.path : null,
      criuReason: criu.reason,
    },
    socketSeenFromHere: () => host.engineSocketFromHere,
  })
}

function controller(plan: ClusterPlan, host: HostPlace): Daemon {
  const members = plan.hosts
    .filter((at) => at.hasController)
    .map((at) => ({
      id: at.index + 1,
      name: at.name,
      address: `${at.address}:${ports.raft}`,
      api: `http://${at.address}:${ports.api}`,
    }))
  return controllerDaemon({
    directory: daemonDirectory(host, 'controller'),
    prefix: host.prefix,
    config: {
      cluster: clusterName,
      name: host.name,
      dataDirectory: join(host.directory, 'controller', 'data'),
      apiAddress: host.address,
      apiPort: ports.api,
      secret: plan.secret,
      natsServers: natsServers(plan, host),
      raft: members.length === 1 ? null : { id: host.index + 1, members },
      containerNetwork: plan.containerNetwork,
      ...(plan.containerNetwork6 === null ? {} : { containerNetwork6: plan.containerNetwork6 }),
      gateway: null,
      tls: certificate(plan, host),
      join: { port: ports.join, authority: plan.authority },
    },
  })
}

function agent(plan: ClusterPlan, host: HostPlace): Daemon {
  return agentDaemon({
    directory: daemonDirectory(host, 'agent'),
    prefix: host.prefix,
    config: {
      cluster: clusterName,
      host: host.name,
      dataDirectory: join(host.directory, 'agent', 'data'),
      engineSocket: host.engineSocket,
      address: host.address,
      grpcPort: ports.grpc,
      streamPort: ports.stream,
      faultDirectory: faultDirectory(host),
      tls: certificate(plan, host),
      secret: plan.secret,
      natsServers: natsServers(plan, host),
      capacity: plan.capacity,
      ...(plan.layersDirectory === null ? {} : { layersDirectory: plan.layersDirectory }),
    },
  })
}

/** Every daemon of a host shows the same. */
export function certificate(plan: ClusterPlan, host: HostPlace): TlsFiles {
  const { authority } = plan
  const addresses = [host.address]
  return ensureCertificate({
    authority,
    directory: join(host.directory, 'tls'),
    cluster: clusterName,
    host: host.name,
    addresses,
  })
}

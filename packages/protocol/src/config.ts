// Configuration files of the daemons, one JSON file each, given as the only argument: `node main.js FILE`.

import { type Static, Type } from '@drover/schema'
import { MachineHookConfig, Name, Resources } from './resources.ts'

/** PEM files with which a part shows who it is, and knows the others of its cluster. */
export const TlsFiles = Type.Object(
  {
    /** Certificate of the cluster's own authority: nobody else's are believed. */
    authority: Type.String(),
    certificate: Type.String(),
    key: Type.String(),
  },
  { additionalProperties: false },
)
export type TlsFiles = Static<typeof TlsFiles>

export const ControllerConfig = Type.Object(
  {
    cluster: Name,
    name: Name,
    dataDirectory: Type.String(),
    /** Address and port of the HTTP API. */
    apiAddress: Type.String(),
    apiPort: Type.Integer(),
    /** Bearer token of the API, NATS token and token of agent streams. */
    secret: Type.String({ minLength: 16 }),
    natsServers: Type.Array(Type.String(), { minItems: 1 }),
    /** null: the embedded single-node log. */
    raft: Type.Union([
      Type.Null(),
      Type.Object({
        id: Type.Integer({ minimum: 1 }),
        /** All voting members, this one included; api is where a follower forwards writes to. */
        members: Type.Array(
          Type.Object({ id: Type.Integer(), name: Name, address: Type.String(), api: Type.String() }),
          { minItems: 1 },
        ),
      }),
    ]),
    /** Containers get addresses from here, e.g. 10.77.0.0/16; the first 256 are the hosts'. */
    containerNetwork: Type.String(),
    /** The /64 of containers' IPv6 addresses, e.g. fd64:1:2::/64; absent: they have none. */
    containerNetwork6: Type.Optional(Type.String()),
    gateway: Type.Union([Type.String(), Type.Null()]),
    /** Absent: connections to the bus and to agents are not encrypted, which only loopback may do. */
    tls: Type.Optional(TlsFiles),
    /** Where new hosts are taken in: a port beside the API's, and the directory of the authority that certifies them. Absent: not here. */
    join: Type.Optional(
      Type.Object({ port: Type.Integer(), authority: Type.String() }, { additionalProperties: false }),
    ),
    /** Holds as long as the cluster's policy names no hook. */
    machineHook: Type.Optional(MachineHookConfig),
    logLevel: Type.Optional(Type.String()),
  },
  { additionalProperties: false },
)
export type ControllerConfig = Static<typeof ControllerConfig>

export const AgentConfig = Type.Object(
  {
    cluster: Name,
    host: Name,
    dataDirectory: Type.String(),
    engineSocket: Type.String(),
    /** Address that other hosts reach this one at; gRPC and stream ports bind to it (0: any free port). */
    address: Type.String(),
    grpcPort: Type.Integer(),
    streamPort: Type.Integer(),
    secret: Type.String({ minLength: 16 }),
    natsServers: Type.Array(Type.String(), { minItems: 1 }),
    /** What the host offers to containers; null: all that the machine has. */
    capacity: Type.Union([Resources, Type.Null()]),
    /** Absent: connections are not encrypted, which only an agent on loopback may do. */
    tls: Type.Optional(TlsFiles),
    /** Ready-made layers, <image name>.tar: an image of that name is unpacked from there rather than built. */
    layersDirectory: Type.Optional(Type.String()),
    /** Raises the kernel's settings that say how many containers the machine can hold. Absent: it leaves them. */
    tuneHost: Type.Optional(Type.Boolean()),
    /** The VXLAN link between the hosts' bridges, whose peers the agent keeps up. Absent: the bridges are linked otherwise. */
    overlay: Type.Optional(Type.String()),
    /** Where fault tests arm the points at which a migration is held; absent outside of tests. */
    faultDirectory: Type.Optional(Type.String()),
    logLevel: Type.Optional(Type.String()),
  },
  { additionalProperties: false },
)
export type AgentConfig = Static<typeof AgentConfig>

export const EngineConfig = Type.Object(
  {
    /** Unix socket to listen on, mode 0600. */
    socket: Type.String(),
    /** Containers' writable layers and records, kept across restarts of the machine. */
    stateDirectory: Type.String(),
    /** Cgroup below which containers get theirs, e.g. /drover; made and owned by the engine. */
    cgroup: Type.String(),
    /** Bridge that containers' veths attach to; must exist. */
    bridge: Type.String(),
    /** criu binary that passed the self-test; null: no live migration. */
    criu: Type.Union([Type.String(), Type.Null()]),
    criuReason: Type.String(),
  },
  { additionalProperties: false },
)
export type EngineConfig = Static<typeof EngineConfig>

/** What the CLI reads (DROVER_CONFIG, else ~/.config/drover/client.json, else /etc/drover/client.json). */
export const ClientConfig = Type.Object(
  { endpoints: Type.Array(Type.String(), { minItems: 1 }), secret: Type.String() },
  { additionalProperties: false },
)
export type ClientConfig = Static<typeof ClientConfig>

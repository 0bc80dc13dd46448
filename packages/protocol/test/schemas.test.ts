// What each schema lets in and what it refuses, by named cases. Every refused case differs from an accepted one in one point.

import {
  AgentConfig,
  Assignment,
  ControllerConfig,
  EngineConfig,
  EvacuateRequest,
  HostReport,
  LaunchRequest,
  MoveRequest,
  Name,
  PullRequest,
  Resources,
} from '@drover/protocol'
import type { TSchema } from '@drover/schema'
import { Value } from '@drover/schema'
import t from 'tap'

const resources = { cpuMilli: 100, memoryBytes: 1 << 20, diskBytes: 0, pids: 10 }
const identity = {
  serial: 1,
  uidBase: 1_000_000,
  mac: '02:00:00:00:00:01',
  ipv4: '10.77.1.1/16',
  gateway: null,
  machineId: '0'.repeat(32),
}
const spec = {
  image: 'sha256:00',
  imageName: 'busybox',
  requests: resources,
  init: ['/sbin/init'],
  environment: {},
  labels: {},
}
const peer = { host: 'a', address: '127.0.0.1', streamPort: 7002 }
const assignment = {
  container: 'c1',
  name: 'web-1',
  revision: 7,
  role: 'owner',
  epoch: 1,
  desired: 'running',
  spec,
  identity,
  imageSources: [peer],
  migration: null,
}
const report = {
  cluster: 'test',
  host: 'a',
  session: 1,
  sequence: 1,
  address: '127.0.0.1',
  grpcPort: 7001,
  streamPort: 7002,
  capacity: resources,
  used: resources,
  features: {
    engine: 'simulated',
    kernel: '6.1',
    architecture: 'x64',
    cgroup: 'v2',
    criu: { usable: true, path: null, version: null, reason: '' },
  },
  images: [],
  engineUp: true,
  containers: [],
  migrations: [],
  imageTasks: [],
}
const agentConfig = {
  cluster: 'test',
  host: 'a',
  dataDirectory: '/var/lib/drover',
  engineSocket: '/run/drover/engine.sock',
  address: '127.0.0.1',
  grpcPort: 0,
  streamPort: 0,
  secret: 'x'.repeat(16),
  natsServers: ['nats://127.0.0.1:4222'],
  capacity: null,
}
const controllerConfig = {
  cluster: 'test',
  name: 'one',
  dataDirectory: '/var/lib/drover',
  apiAddress: '127.0.0.1',
  apiPort: 0,
  secret: 'x'.repeat(16),
  natsServers: ['nats://127.0.0.1:4222'],
  raft: null,
  containerNetwork: '10.77.0.0/16',
  gateway: null,
}
const engineConfig = {
  socket: '/run/drover/engine.sock',
  stateDirectory: '/var/lib/drover/containers',
  cgroup: '/drover',
  bridge: 'br0',
  criu: null,
  criuReason: 'not tried',
}

const table: { [schema: string]: { schema: TSchema; accepts: [string, unknown][]; refuses: [string, unknown][] } } = {
  Name: {
    schema: Name,
    accepts: [
      ['one letter', 'a'],
      ['a digit first', '1a'],
      ['a hyphen inside', 'web-1'],
      ['63 characters', 'a'.repeat(63)],
    ],
    refuses: [
      ['nothing', ''],
      ['64 characters', 'a'.repeat(64)],
      ['a capital', 'Web'],
      ['a hyphen first', '-a'],
      ['a hyphen last', 'a-'],
      ['a dot', 'a.b'],
      ['a path', '../a'],
      ['a line end', 'a\n'],
      ['a number', 7],
      ['null', null],
    ],
  },
  Resources: {
    schema: Resources,
    accepts: [['zeros', { cpuMilli: 0, memoryBytes: 0, diskBytes: 0, pids: 0 }]],
    refuses: [
      ['a negative', { ...resources, cpuMilli: -1 }],
      ['a fraction', { ...resources, pids: 0.5 }],
      ['a missing one', { cpuMilli: 0, memoryBytes: 0, diskBytes: 0 }],
      ['an unknown one', { ...resources, gpus: 1 }],
      ['a string', { ...resources, cpuMilli: '100' }],
      ['not a number', { ...resources, cpuMilli: Number.NaN }],
    ],
  },
  LaunchRequest: {
    schema: LaunchRequest,
    accepts: [
      ['a name alone', { name: 'web-1' }],
      ['all', { name: 'web-1', image: 'debian', host: 'a', cpuMilli: 1, memoryBytes: 4 << 20, diskBytes: 0, pids: 1 }],
      ['labels', { name: 'web-1', environment: { A: 'b' }, labels: { team: 'x' } }],
    ],
    refuses: [
      ['no name', {}],
      ['a bad name', { name: 'Web 1' }],
      ['too little memory', { name: 'a', memoryBytes: 1 }],
      ['no processor', { name: 'a', cpuMilli: 0 }],
      ['an unknown field', { name: 'a', colour: 'red' }],
      ['a number as environment', { name: 'a', environment: { A: 1 } }],
      ['a list', []],
      ['null', null],
    ],
  },
  MoveRequest: {
    schema: MoveRequest,
    accepts: [
      ['nothing', {}],
      ['a host', { host: 'b' }],
      ['cold', { mode: 'cold' }],
    ],
    refuses: [
      ['an unknown mode', { mode: 'warm' }],
      ['an empty host', { host: '' }],
      ['null as host', { host: null }],
    ],
  },
  EvacuateRequest: {
    schema: EvacuateRequest,
    accepts: [
      ['nothing', {}],
      ['the most', { parallel: 32 }],
    ],
    refuses: [
      ['none at a time', { parallel: 0 }],
      ['too many', { parallel: 33 }],
    ],
  },
  Assignment: {
    schema: Assignment,
    accepts: [
      ['an owner', assignment],
      [
        'a move',
        {
          ...assignment,
          role: 'source',
          migration: { operation: 'o1', phase: 'preparing', mode: 'live', source: peer, destination: peer },
        },
      ],
    ],
    refuses: [
      ['an unknown role', { ...assignment, role: 'boss' }],
      ['an empty init', { ...assignment, spec: { ...spec, init: [] } }],
      ['serial 0', { ...assignment, identity: { ...identity, serial: 0 } }],
      ['a missing migration', without(assignment, 'migration')],
      [
        'an unknown phase',
        { ...assignment, migration: { operation: 'o', phase: 'x', mode: 'live', source: peer, destination: peer } },
      ],
    ],
  },
  HostReport: {
    schema: HostReport,
    accepts: [['an idle host', report]],
    refuses: [
      ['an unknown engine', { ...report, features: { ...report.features, engine: 'docker' } }],
      ['negative capacity', { ...report, capacity: { ...resources, pids: -1 } }],
      ['a container of unknown form', { ...report, containers: [{}] }],
      ['no sequence', without(report, 'sequence')],
    ],
  },
  PullRequest: {
    schema: PullRequest,
    accepts: [['a pull', { cluster: 'test', host: 'a', session: 1 }]],
    refuses: [['a string as session', { cluster: 'test', host: 'a', session: '1' }]],
  },
  AgentConfig: {
    schema: AgentConfig,
    accepts: [
      ['the least', agentConfig],
      ['a capacity', { ...agentConfig, capacity: resources }],
      ['a log level', { ...agentConfig, logLevel: 'debug' }],
    ],
    refuses: [
      ['a short secret', { ...agentConfig, secret: 'short' }],
      ['no bus', { ...agentConfig, natsServers: [] }],
      ['an unknown field', { ...agentConfig, verbose: true }],
    ],
  },
  ControllerConfig: {
    schema: ControllerConfig,
    accepts: [
      ['the embedded log', controllerConfig],
      ['three members', { ...controllerConfig, raft: { id: 1, members: [1, 2, 3].map(member) } }],
    ],
    refuses: [
      ['no members', { ...controllerConfig, raft: { id: 1, members: [] } }],
      ['member 0', { ...controllerConfig, raft: { id: 0, members: [member(1)] } }],
      ['raft left out', without(controllerConfig, 'raft')],
    ],
  },
  EngineConfig: {
    schema: EngineConfig,
    accepts: [
      ['without criu', engineConfig],
      ['with criu', { ...engineConfig, criu: '/usr/sbin/criu' }],
    ],
    refuses: [
      ['criu left out', without(engineConfig, 'criu')],
      ['a number as socket', { ...engineConfig, socket: 7 }],
    ],
  },
}

for (const [name, { schema, accepts, refuses }] of Object.entries(table)) {
  t.test(`${name} accepts: ${accepts.map(([label]) => label).join(', ')}`, async (t) => {
    for (const [label, value] of accepts) t.same([...Value.Errors(schema, value)], [], label)
  })
  t.test(`${name} refuses: ${refuses.map(([label]) => label).join(', ')}`, async (t) => {
    for (const [label, value] of refuses) t.equal(Value.Check(schema, value), false, label)
  })
}

function without(value: object, field: string): object {
  return Object.fromEntries(Object.entries(value).filter(([name]) => name !== field))
}

function member(id: number) {
  return { id, name: `c${id}`, address: `127.0.0.${id}:7001`, api: `http://127.0.0.${id}:7070` }
}

// Resources of the API with every field set, to be changed where a test cares: for the tests of whoever shows or reads them.

import type { Container, HostView, Operation } from '@drover/protocol'

const MiB = 2 ** 20

export function container(name: string, change: Partial<Container> = {}): Container {
  return {
    id: `c-${name}`,
    name,
    spec: {
      image: `sha256:${'ab'.repeat(32)}`,
      imageName: 'busybox',
      requests: { cpuMilli: 100, memoryBytes: 64 * MiB, diskBytes: 2 ** 30, pids: 1024 },
      init: ['/sbin/init'],
      environment: {},
      labels: { team: 'blue' },
    },
    identity: {
      serial: 5,
      uidBase: 1_000_000,
      mac: '02:64:00:00:00:05',
      ipv4: '10.77.1.5/16',
      gateway: null,
      machineId: '0123456789abcdef0123456789abcdef',
    },
    desired: 'running',
    deleting: false,
    host: 'a',
    epoch: 3,
    state: 'running',
    message: null,
    initPid: 4711,
    startedAtMs: 0,
    starts: 1,
    operation: null,
    placement: {
      chosen: 'a',
      reason: 'fullest host that fits: memory 78 % after placing; image is there',
      hosts: [
        { host: 'a', feasible: true, refusal: null, detail: null, score: 0.78 },
        { host: 'b', feasible: false, refusal: 'HOST_CORDONED', detail: 'it takes no new containers', score: null },
      ],
    },
    createdAtMs: 0,
    revision: 9,
    ...change,
  }
}

export function hostView(name: string, change: Partial<HostView> = {}): HostView {
  return {
    name,
    address: '10.0.0.1',
    grpcPort: 1,
    streamPort: 2,
    capacity: { cpuMilli: 4000, memoryBytes: 4096 * MiB, diskBytes: 2 ** 36, pids: 100_000 },
    features: {
      engine: 'native',
      kernel: '6.18.0',
      architecture: 'x86_64',
      cgroup: 'v2',
      criu: { usable: true, path: '/criu', version: '4.2.1', reason: 'the system’s criu passed the self-test' },
    },
    cordoned: false,
    joinedAtMs: 0,
    images: [],
    revision: 1,
    status: 'ready',
    lastSeenMs: 0,
    requested: { cpuMilli: 1000, memoryBytes: 1024 * MiB, diskBytes: 2 ** 30, pids: 1024 },
    used: null,
    containers: 1,
    ...change,
  }
}

export function operation(change: Partial<Operation> = {}): Operation {
  return {
    id: 'op-1',
    kind: 'start',
    target: 'web-1',
    state: 'running',
    phase: 'starting',
    progress: { done: 0, total: 1, message: '' },
    cancelRequested: false,
    parent: null,
    error: null,
    migration: null,
    parameters: {},
    createdAtMs: 0,
    updatedAtMs: 0,
    endedAtMs: null,
    revision: 1,
    ...change,
  }
}

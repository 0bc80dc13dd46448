// A cluster for the command's tests: an HTTP server with a few resources in memory, and a run of the command in-process with
// everything that it printed.

import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PassThrough } from 'node:stream'
import { main, type Terminal } from '@drover/cli'
import type {
  ClusterEvent,
  ClusterStatus,
  Container,
  HostView,
  Image,
  Operation,
  Preflight,
  Profile,
  VolumeView,
} from '@drover/protocol'
import type { Test } from 'tap'
import { container, hostView, operation } from './resources.ts'

const secret = 'a-secret-of-the-cluster'

export interface FakeCluster {
  url: string
  /** [method, path, body] of each write. */
  writes: [string, string, unknown][]
  containers: Container[]
  hosts: HostView[]
  images: Image[]
  profiles: Profile[]
  volumes: VolumeView[]
  operations: Operation[]
  /** Null: the container's host is silent. */
  /** `hangs`: its host never answers. */
  preflight: Preflight | null | 'hangs'
  events: ClusterEvent[]
  log: string
  /** States that readings of an operation give, one after the other; the last one stays. */
  script: Map<string, Operation[]>
  /** Answers a write; default: an operation that is done at once. */
  onWrite: (
    method: string,
    path: string,
    body: unknown,
  ) => Operation | { status: number; code: string; message: string }
  /** Runs `drover …args`. */
  drover: (args: string[], change?: Partial<RunOptions>) => Promise<RunResult>
}

export interface RunOptions {
  stdin: string | null
  tty: boolean
  /** Of stdin, which otherwise is none. */
  keyboard: boolean
  environment: NodeJS.ProcessEnv
  /** Given once the command runs: sends it a signal. */
  onStart: (signal: (name: NodeJS.Signals) => void) => void
}

export interface RunResult {
  exitCode: number
  stdout: string
  stderr: string
  json: () => unknown
}

export async function fakeCluster(t: Pick<Test, 'teardown' | 'testdir'>): Promise<FakeCluster> {
  const server = createServer(async (message, response) => {
    let text = ''
    for await (const chunk of message) text += chunk
    const { pathname } = new URL(message.url ?? '/', 'http://cluster')
    const method = message.method ?? ''
    if (message.headers.authorization !== `Bearer ${secret}`) refuse(response, 401, 'UNAUTHENTICATED', 'no')
    else if (method !== 'GET') write(cluster, response, method, pathname, text === '' ? null : JSON.parse(text))
    else read(cluster, response, pathname)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const directory = t.testdir({ 'client.json': JSON.stringify({ endpoints: [url], secret }) })
  const cluster: FakeCluster = {
    url,
    writes: [],
    containers: [container('web-1'), container('web-2', { host: 'b', state: 'stopped' })],
    hosts: [hostView('a'), hostView('b', { status: 'cordoned', cordoned: true })],
    images: [],
    profiles: [],
    volumes: [],
    operations: [],
    preflight: null,
    events: [],
    log: 'one\ntwo\nthree\n',
    script: new Map(),
    onWrite: () => operation({ state: 'done', phase: 'done', endedAtMs: 250 }),
    drover: (args, change = {}) =>
      run(args, { DROVER_CONFIG: `${directory}/client.json`, ...change.environment }, change),
  }
  return cluster
}

/** Runs the command in this process. Without a cluster, `environment` says where it looks for one. */
export async function run(
  args: string[],
  environment: NodeJS.ProcessEnv,
  change: Partial<RunOptions> = {},
): Promise<RunResult> {
  const stdout = sink(change.tty ?? false)
  const stderr = sink(change.tty ?? false)
  const listeners = new Map<string, Set<() => void>>()
  const stdin = Object.assign(new PassThrough(), { isTTY: change.keyboard ?? false })
  if (change.stdin !== null) stdin.end(change.stdin ?? '')
  const terminal: Terminal = {
    stdin,
    stdout: stdout.stream,
    stderr: stderr.stream,
    environment,
    onSignal(name, listener) {
      const all = listeners.get(name) ?? new Set()
      listeners.set(name, all.add(listener))
      return () => all.delete(listener)
    },
  }
  change.onStart?.((name) => {
    for (const listener of listeners.get(name) ?? []) listener()
  })
  const exitCode = await main(args, terminal)
  const printed = stdout.text()
  return { exitCode, stdout: printed, stderr: stderr.text(), json: () => JSON.parse(printed) }
}

function sink(isTTY: boolean) {
  const stream = Object.assign(new PassThrough(), { isTTY, columns: 120, rows: 40 })
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  return { stream, text: () => Buffer.concat(chunks).toString('utf8') }
}

function read(cluster: FakeCluster, response: ServerResponse, path: string): void {
  const [, , collection = '', name = '', rest] = path.split('/')
  if (collection === 'status') answer(response, 200, status(cluster))
  else if (collection === 'events') streamEvents(cluster, response)
  else if (collection === 'containers' && rest === 'logs') response.end(cluster.log)
  else if (collection === 'containers' && rest === 'explain') explain(cluster, response, name)
  else if (rest === 'preflight') {
    if (cluster.preflight === 'hangs') return
    if (cluster.preflight) answer(response, 200, cluster.preflight)
    else refuse(response, 503, 'HOST_UNREACHABLE', 'silent')
  } else if (name !== '') readOne(cluster, response, collection, name)
  else answer(response, 200, list(cluster, collection))
}

function explain(cluster: FakeCluster, response: ServerResponse, name: string): void {
  const found = cluster.containers.find((each) => each.name === name)
  const lastMove = { from: 'b', to: 'a', atMs: 0, reason: 'IMBALANCE: b is used to 80 %' }
  if (!found) refuse(response, 404, 'CONTAINER_NOT_FOUND', `no ${name}`)
  else answer(response, 200, { name, host: found.host, placed: found.placement, now: found.placement, lastMove })
}

function readOne(cluster: FakeCluster, response: ServerResponse, collection: string, name: string): void {
  const found = scripted(cluster, name) ?? list(cluster, collection).find((each) => (each.name ?? each.id) === name)
  const code = { containers: 'CONTAINER_NOT_FOUND', hosts: 'HOST_NOT_FOUND', operations: 'OPERATION_NOT_FOUND' }
  if (found) answer(response, 200, found)
  else refuse(response, 404, code[collection as 'hosts'] ?? 'ROUTE_NOT_FOUND', `no ${name}`)
}

function list(cluster: FakeCluster, collection: string): readonly { name?: string; id?: string }[] {
  const { containers, hosts, images, operations, profiles, volumes } = cluster
  return { containers, hosts, images, operations, profiles, volumes }[collection as 'hosts']
}

function scripted(cluster: FakeCluster, id: string): Operation | undefined {
  const states = cluster.script.get(id) ?? []
  return states.length > 1 ? states.shift() : states[0]
}

function write(cluster: FakeCluster, response: ServerResponse, method: string, path: string, body: unknown): void {
  cluster.writes.push([method, path, body])
  if (path === '/v1/launches') {
    const { launches } = body as { launches: { name: string }[] }
    const outcomes = launches.map((each) => {
      const result = cluster.onWrite(method, path, each)
      if (!('status' in result)) return { name: each.name, operation: result, error: null }
      const { code, message } = result
      return { name: each.name, operation: null, error: { code, message, retryable: false, context: {} } }
    })
    answer(response, 202, outcomes)
    return
  }
  const result = cluster.onWrite(method, path, body)
  if ('status' in result) refuse(response, result.status, result.code, result.message)
  else answer(response, 202, result)
}

function status(cluster: FakeCluster): ClusterStatus {
  return {
    cluster: 'demo',
    version: '0.1.0',
    controller: 'c1',
    leader: 'c1',
    controllers: [
      { name: 'c1', address: '10.0.0.1', leader: true },
      { name: 'c2', address: '10.0.0.2', leader: false },
    ],
    appliedIndex: 7,
    hosts: cluster.hosts.length,
    hostsReady: cluster.hosts.filter((host) => host.status === 'ready').length,
    containers: cluster.containers.length,
    containersRunning: cluster.containers.filter(({ state }) => state === 'running').length,
    operationsRunning: 0,
  }
}

function streamEvents(cluster: FakeCluster, response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.write(':\n\n')
  for (const event of cluster.events) response.write(`id: ${event.id}\ndata: ${JSON.stringify(event)}\n\n`)
}

function answer(response: ServerResponse, code: number, body: unknown): void {
  response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

function refuse(response: ServerResponse, code: number, name: string, message: string): void {
  answer(response, code, { error: { code: name, message, retryable: false, context: {} } })
}

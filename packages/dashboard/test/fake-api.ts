// The HTTP API as far as the page uses it: data that a test sets, events that it sends, and the writes that came.

import { readFileSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join } from 'node:path'
import type {
  ClusterEvent,
  ClusterStatus,
  Container,
  HostView,
  MigrationFigures,
  MigrationPhase,
  Operation,
} from '@drover/protocol'
import * as resources from '@drover/testkit/resources'
import { publicDirectory } from '../src/index.ts'

const types: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
}

export interface Write {
  path: string
  body: unknown
  key: string | undefined
}

export class FakeApi {
  readonly secret = 'a secret of sixteen'
  hosts: HostView[] = []
  containers: Container[] = []
  operations: Operation[] = []
  readonly writes: Write[] = []
  /** Path → what a write to it is refused with. */
  readonly refusals = new Map<string, { status: number; code: string; message: string }>()
  readonly #streams = new Set<ServerResponse>()
  readonly #server = createServer((request, response) => {
    const path = (request.url ?? '/').split('?')[0]!
    if (!path.startsWith('/v1/')) return this.#file(path, response)
    if (request.headers.authorization !== `Bearer ${this.secret}`) {
      return answer(response, 401, { error: { code: 'UNAUTHENTICATED', message: 'the cluster secret is wrong' } })
    }
    if (path === '/v1/events') {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write(':\n\n')
      this.#streams.add(response)
      return
    }
    if (request.method === 'GET') return answer(response, 200, this.#read(path))
    let body = ''
    request.on('data', (chunk) => {
      body += chunk
    })
    request.on('end', () => {
      const refusal = this.refusals.get(path)
      if (refusal) return answer(response, refusal.status, { error: refusal })
      this.writes.push({ path, body: JSON.parse(body), key: request.headers['idempotency-key'] as string | undefined })
      answer(response, 202, {})
    })
  })

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`
  }

  close(): void {
    this.#server.closeAllConnections()
    this.#server.close()
  }

  send(event: ClusterEvent): void {
    for (const stream of this.#streams) stream.write(`id: ${event.id}\ndata: ${JSON.stringify(event)}\n\n`)
  }

  /** As when a controller dies. */
  breakStreams(): void {
    for (const stream of this.#streams) stream.destroy()
    this.#streams.clear()
  }

  #read(path: string): unknown {
    if (path === '/v1/hosts') return this.hosts
    if (path === '/v1/containers') return this.containers
    if (path === '/v1/operations') return this.operations
    const status: ClusterStatus = {
      cluster: 'test',
      version: '0',
      controller: 'one',
      leader: 'one',
      controllers: [],
      appliedIndex: 1,
      hosts: this.hosts.length,
      hostsReady: this.hosts.length,
      containers: this.containers.length,
      containersRunning: this.containers.length,
      operationsRunning: this.operations.length,
    }
    return status
  }

  #file(path: string, response: ServerResponse): void {
    const name = path === '/' ? 'index.html' : path.slice(1)
    try {
      const bytes = readFileSync(join(publicDirectory, name))
      response.writeHead(200, { 'content-type': types[extname(name)] ?? 'application/octet-stream' }).end(bytes)
    } catch {
      response.writeHead(404).end()
    }
  }
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

const gib = 1 << 30

export function host(name: string, changes: Partial<HostView> = {}): HostView {
  return resources.hostView(name, {
    capacity: { cpuMilli: 4000, memoryBytes: gib, diskBytes: gib, pids: 1000 },
    requested: { cpuMilli: 1000, memoryBytes: gib / 2, diskBytes: 0, pids: 0 },
    used: { cpuMilli: 100, memoryBytes: gib / 8, diskBytes: 0, pids: 0 },
    ...changes,
  })
}

export function container(serial: number, name: string, changes: Partial<Container> = {}): Container {
  const usual = resources.container(name)
  return {
    ...usual,
    id: `c${serial}`,
    identity: { ...usual.identity, serial, ipv4: `10.77.1.${serial}/16` },
    startedAtMs: Date.now() - 3_600_000,
    ...changes,
  }
}

export function operation(id: string, changes: Partial<Operation> = {}): Operation {
  const progress = { done: 3, total: 12, message: '3 of 12 moved' }
  return resources.operation({ id, kind: 'evacuate', target: 'a', phase: 'moving', progress, ...changes })
}

/** Of `web-1` from a to b. */
export function move(
  id: string,
  phase: MigrationPhase,
  figures: MigrationFigures,
  changes: Partial<Operation> = {},
): Operation {
  return operation(id, {
    kind: 'move',
    target: 'web-1',
    phase,
    progress: { done: 0, total: 0, message: '' },
    migration: { container: 'c1', source: 'a', destination: 'b', mode: 'live', phase, nextEpoch: 2, figures },
    ...changes,
  })
}

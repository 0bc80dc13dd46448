// A scripted API for the client's tests: a real HTTP server on a free port that answers by a function and keeps what it was asked.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { ClusterEvent } from '@drover/protocol'
import type { Test } from 'tap'

export { operation } from '@drover/testkit/resources'

export interface SeenRequest {
  method: string
  url: string
  key: string | undefined
  authorization: string | undefined
  lastEventId: string | undefined
  body: unknown
}

export interface FakeApi {
  url: string
  seen: SeenRequest[]
  server: Server
}

export type Answer = (request: SeenRequest, response: ServerResponse, count: number) => void

export async function fakeApi(t: Pick<Test, 'teardown'>, answer: Answer): Promise<FakeApi> {
  const seen: SeenRequest[] = []
  const server = createServer(async (message, response) => {
    const request = await read(message)
    seen.push(request)
    answer(request, response, seen.length)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen, server }
}

async function read(message: IncomingMessage): Promise<SeenRequest> {
  let text = ''
  for await (const chunk of message) text += chunk
  const { authorization, ...headers } = message.headers
  return {
    method: message.method ?? '',
    url: message.url ?? '',
    key: headers['idempotency-key'] as string | undefined,
    authorization,
    lastEventId: headers['last-event-id'] as string | undefined,
    body: text === '' ? null : JSON.parse(text),
  }
}

export function answerJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

export function answerError(
  response: ServerResponse,
  status: number,
  code: string,
  retryable: boolean,
  context: Record<string, unknown> = {},
): void {
  answerJson(response, status, { error: { code, message: `refused with ${code}`, retryable, context } })
}

export function answerEvents(response: ServerResponse, ids: number[]): ServerResponse {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  for (const id of ids) answerEvent(response, id, { kind: 'test', operation: null })
  return response
}

export function answerEvent(stream: ServerResponse, id: number, event: Pick<ClusterEvent, 'kind' | 'operation'>): void {
  stream.write(`id: ${id}\ndata: ${JSON.stringify({ id, target: 'x', ...event })}\n\n`)
}

/** A port that nothing listens on: bound once and closed again. */
export async function deadUrl(): Promise<string> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return `http://127.0.0.1:${port}`
}

// exec and logs: what the API passes between a client and the agent of the container's host.

import { agentService, DroverError, decodeMessage, encodeMessage, FrameType, type Operation } from '@drover/protocol'
import '@fastify/websocket'
import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerWritableStream,
  type ServiceDefinition,
} from '@grpc/grpc-js'
import t, { type Test } from 'tap'
import type { WebSocket } from 'ws'
import { apiFixture, secret } from './support/api-fixture.ts'
import { waitFor } from './support/nats-process.ts'

const request = { container: 'web', command: ['cat'], terminal: null, environment: {}, directory: null, user: null }
const chunk = Buffer.alloc(64 << 10, 'x')
const floodChunks = 1024

/** Echoes stdin; `flood` writes 64 MiB as fast as it is taken; the exit code is 7. */
async function echoAgent(test: Test) {
  const seen = { requests: [] as unknown[], tokens: [] as string[], sent: 0, cancelled: 0, leaves: 0 }
  const tellLeft = (call: { write(message: Buffer): unknown; end(): unknown }, more: object) => {
    const error = new DroverError('BUSY', 'it has moved', { context: { left: true, ...more } })
    call.write(encodeMessage(FrameType.error, JSON.stringify(error.toJSON())))
    call.end()
  }
  /** It has gone to another host, which is told only after the client has said more; here that is the same agent. */
  const leaves = (call: ServerDuplexStream<Buffer, Buffer>) => {
    seen.leaves -= 1
    call.removeAllListeners('data').resume()
    setTimeout(() => tellLeft(call, {}), 50)
  }
  const exec = (call: ServerDuplexStream<Buffer, Buffer>) => {
    seen.tokens.push(String(call.metadata.get('authorization')[0]))
    call.on('cancelled', () => seen.cancelled++)
    call.on('data', (message: Buffer) => {
      const { type, payload } = decodeMessage(message)
      if (type === FrameType.json) {
        const asked = JSON.parse(Buffer.from(payload).toString())
        seen.requests.push(asked)
        if (asked.command[0] === 'flood') void flood(call)
        if (seen.leaves > 0) leaves(call)
      } else if (type === FrameType.stdin) call.write(encodeMessage(FrameType.stdout, payload))
      else if (type === FrameType.stdinEnd) leave(call)
    })
  }
  const leave = (call: ServerDuplexStream<Buffer, Buffer>) => {
    call.write(encodeMessage(FrameType.exit, JSON.stringify({ exitCode: 7 })))
    call.end()
  }
  const flood = async (call: ServerDuplexStream<Buffer, Buffer>) => {
    for (let each = 0; each < floodChunks && !call.cancelled; each += 1) {
      seen.sent += 1
      if (!call.write(encodeMessage(FrameType.stdout, chunk)))
        await new Promise((resolve) => call.once('drain', resolve))
    }
    leave(call)
  }
  const logs = (call: ServerWritableStream<Buffer, Buffer>) => {
    const asked = JSON.parse(Buffer.from(decodeMessage(call.request).payload).toString())
    seen.requests.push(asked)
    call.on('cancelled', () => seen.cancelled++)
    if (asked.tailBytes === 404) {
      const error = new DroverError('CONTAINER_NOT_FOUND', 'no log of it here')
      call.write(encodeMessage(FrameType.error, JSON.stringify(error.toJSON())))
      return call.end()
    }
    if (asked.offset === undefined) call.write(encodeMessage(FrameType.stdout, 'one\n'))
    if (seen.leaves > 0) {
      seen.leaves -= 1
      return tellLeft(call, { offset: 4 })
    }
    call.write(encodeMessage(FrameType.stdout, 'two\n'))
    if (!asked.follow) call.end()
  }
  const server = new Server()
  server.addService(agentService as unknown as ServiceDefinition, { exec, logs })
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  test.teardown(() => server.forceShutdown())
  return { port, seen, stop: () => server.forceShutdown() }
}

/** RFC 6455, 5.2: one binary message, masked with zeros. */
function clientFrame(message: Uint8Array): Uint8Array[] {
  const header = Buffer.from([0x82, 0xfe, message.length >> 8, message.length & 0xff, 0, 0, 0, 0])
  const short = Buffer.from([0x82, 0x80 | message.length, 0, 0, 0, 0])
  return [message.length < 126 ? short : header, message]
}

async function fixture(test: Test) {
  const agent = await echoAgent(test)
  const base = await apiFixture(test)
  base.models.get('a')!.grpcPort = agent.port
  await base.report('a')
  await base.call<Operation>('POST', '/v1/containers', { body: { name: 'web', host: 'a' } })
  await base.api.ready()
  const open = async (name = 'web') => {
    const frames: { type: number; text: string }[] = []
    const state = { closed: false, bytes: 0 }
    const socket: WebSocket = await base.api.injectWS(`/v1/containers/${name}/exec`, {
      headers: { authorization: `Bearer ${secret}` },
    })
    socket.on('message', (data: Buffer) => {
      const { type, payload } = decodeMessage(data)
      if (type === FrameType.stdout) state.bytes += payload.length
      if (payload.length < 4096) frames.push({ type, text: Buffer.from(payload).toString() })
    })
    socket.on('close', () => {
      state.closed = true
    })
    const ask = (changes: object = {}) =>
      socket.send(encodeMessage(FrameType.json, JSON.stringify({ ...request, ...changes })))
    return { socket, frames, state, ask }
  }
  return { ...base, agent, open }
}

t.test('what a client says at once is not lost, also when it is read at once', async (t) => {
  const { open } = await fixture(t)
  const { socket, frames, state } = await open()
  const messages = [
    encodeMessage(FrameType.json, JSON.stringify(request)),
    encodeMessage(FrameType.stdin, 'hello'),
    encodeMessage(FrameType.stdinEnd),
  ]
  const { _socket: stream } = socket as unknown as { _socket: { write(data: Buffer): void } }
  stream.write(Buffer.concat(messages.flatMap(clientFrame)))
  await waitFor('the connection to be closed', () => state.closed)
  t.strictSame(
    frames.map(({ text }) => text),
    ['hello', '{"exitCode":7}'],
  )
})

t.test('a command gets its stdin, and its output and exit code come back', async (t) => {
  const { agent, open } = await fixture(t)
  const { socket, frames, state, ask } = await open()
  ask()
  socket.send(encodeMessage(FrameType.stdin, 'hello'))
  socket.send(encodeMessage(FrameType.stdinEnd))
  await waitFor('the connection to be closed', () => state.closed)
  t.strictSame(frames, [
    { type: FrameType.stdout, text: 'hello' },
    { type: FrameType.exit, text: '{"exitCode":7}' },
  ])
  t.match(agent.seen.requests, [{ container: 'c1', command: ['cat'] }], 'the agent is asked by id')
  t.strictSame(agent.seen.tokens, [`Bearer ${secret}`])
})

t.test('where it has just left nothing is begun: it is asked again, with all that was said', async (t) => {
  const { agent, open, api } = await fixture(t)
  agent.seen.leaves = 2
  const { socket, frames, state, ask } = await open()
  ask()
  socket.send(encodeMessage(FrameType.stdin, 'hello'))
  await waitFor('the second request', () => agent.seen.requests.length >= 2)
  socket.send(encodeMessage(FrameType.stdinEnd))
  await waitFor('the connection to be closed', () => state.closed)
  t.strictSame(frames, [
    { type: FrameType.stdout, text: 'hello' },
    { type: FrameType.exit, text: '{"exitCode":7}' },
  ])
  t.equal(agent.seen.requests.length, 3)

  agent.seen.leaves = 1
  const headers = { authorization: `Bearer ${secret}` }
  t.equal((await api.inject({ url: '/v1/containers/web/logs', headers })).payload, 'one\ntwo\n')
  t.match(agent.seen.requests.at(-1), { offset: 4 })

  agent.seen.leaves = 100
  const endless = await open()
  endless.ask()
  await waitFor('the connection to be closed', () => endless.state.closed)
  t.match(JSON.parse(endless.frames.at(-1)!.text), { error: { code: 'BUSY' } })
})

t.test('a client that doesn’t read holds the agent back, and loses nothing', async (t) => {
  const { agent, open } = await fixture(t)
  const { socket, state, ask } = await open()
  ask({ command: ['flood'] })
  await waitFor('the first bytes', () => state.bytes > 0)
  socket.pause()
  let before = -1
  await waitFor('the agent to be held back', () => {
    const still = agent.seen.sent === before
    before = agent.seen.sent
    return new Promise<boolean>((resolve) => setTimeout(() => resolve(still && agent.seen.sent === before), 200))
  })
  t.ok(agent.seen.sent < floodChunks, `${agent.seen.sent} of ${floodChunks} chunks were taken`)
  socket.resume()
  await waitFor('everything', () => state.closed)
  t.equal(state.bytes, floodChunks * chunk.length)
})

t.test('a client that goes away cancels the agent’s side', async (t) => {
  const { agent, open } = await fixture(t)
  const { socket, ask } = await open()
  ask()
  await waitFor('the request to arrive', () => agent.seen.requests.length === 1)
  socket.terminate()
  await waitFor('the cancellation', () => agent.seen.cancelled === 1)
  t.pass()
})

t.test('what can’t be run is told in the last frame', async (t) => {
  const { agent, open, context } = await fixture(t)
  const lastError = async (name: string, act: (opened: Awaited<ReturnType<typeof open>>) => void) => {
    const opened = await open(name)
    act(opened)
    await waitFor('the end', () => opened.state.closed)
    const last = opened.frames.at(-1)!
    t.equal(last.type, FrameType.error)
    return JSON.parse(last.text).error.code
  }
  t.equal(await lastError('web', ({ socket }) => socket.send(encodeMessage(FrameType.json, '{'))), 'BAD_REQUEST')
  t.equal(await lastError('web', ({ socket }) => socket.send(encodeMessage(FrameType.stdin, 'x'))), 'BAD_REQUEST')
  t.equal(await lastError('web', ({ ask }) => ask({ command: [] })), 'BAD_REQUEST')
  t.equal(await lastError('nobody', ({ ask }) => ask()), 'CONTAINER_NOT_FOUND')
  const { containers } = context.machine.state.tables
  const [id, web] = [...containers].find(([, { name }]) => name === 'web')!
  for (const state of ['stopped', 'frozen'] as const) {
    containers.set(id, { ...web, state })
    t.equal(await lastError('web', ({ ask }) => ask()), 'WRONG_STATE', state)
  }
  containers.set(id, web)
  agent.stop()
  t.equal(await lastError('web', ({ ask }) => ask()), 'HOST_UNREACHABLE')
})

t.test('logs are text; an error before the first byte has its status', async (t) => {
  const { agent, api } = await fixture(t)
  const headers = { authorization: `Bearer ${secret}` }
  const whole = await api.inject({ url: '/v1/containers/web/logs?tailBytes=100', headers })
  t.match(whole, { statusCode: 200, payload: 'one\ntwo\n' })
  t.match(whole.headers['content-type'], /^text\/plain/)
  t.match(agent.seen.requests, [{ container: 'c1', follow: false, tailBytes: 100 }])
  const missing = await api.inject({ url: '/v1/containers/web/logs?tailBytes=404', headers })
  t.match(missing.json(), { error: { code: 'CONTAINER_NOT_FOUND' } })
  t.equal(missing.statusCode, 404)
  t.equal((await api.inject({ url: '/v1/containers/web/logs?tailBytes=x', headers })).statusCode, 400)
  t.equal((await api.inject({ url: '/v1/containers/nobody/logs', headers })).statusCode, 404)
})

t.test('following goes on until the client leaves', async (t) => {
  const { agent, api } = await fixture(t)
  await api.listen({ host: '127.0.0.1', port: 0 })
  const { port } = api.server.address() as { port: number }
  const leaving = new AbortController()
  const response = await fetch(`http://127.0.0.1:${port}/v1/containers/web/logs?follow=1`, {
    headers: { authorization: `Bearer ${secret}` },
    signal: leaving.signal,
  })
  let text = ''
  for await (const part of response.body!) {
    text += Buffer.from(part).toString()
    if (text.includes('two')) break
  }
  t.equal(text, 'one\ntwo\n')
  leaving.abort()
  await waitFor('the cancellation', () => agent.seen.cancelled === 1)
})

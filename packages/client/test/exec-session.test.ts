// Exec over a real WebSocket against a scripted container.

import { PassThrough, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { DroverClient } from '@drover/client'
import { decodeMessage, type ExecRequest, encodeMessage, FrameType } from '@drover/protocol'
import t, { type Test } from 'tap'
import { type WebSocket, WebSocketServer } from 'ws'
import { answerError, fakeApi } from './fake-api.ts'

const secret = 'a-secret-of-the-cluster'
const request = { command: ['cat'], terminal: null, environment: {}, directory: null, user: null }

/** A container behind the API: `serve` gets each frame as [type, text]. */
async function fakeContainer(t: Test, serve: (socket: WebSocket, type: number, payload: Buffer) => void) {
  const api = await fakeApi(t, (_, response) => answerError(response, 404, 'CONTAINER_NOT_FOUND', false))
  const sockets = new WebSocketServer({ noServer: true })
  api.server.on('upgrade', (message, stream, head) => {
    if (message.url !== '/v1/containers/web-1/exec' || message.headers.authorization !== `Bearer ${secret}`) {
      const body = JSON.stringify({ error: { code: 'CONTAINER_NOT_FOUND', message: 'no web-9', retryable: false } })
      return stream.end(`HTTP/1.1 404 Not Found\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`)
    }
    sockets.handleUpgrade(message, stream, head, (socket) => {
      socket.on('message', (data: Buffer) => {
        const { type, payload } = decodeMessage(data)
        serve(socket, type, Buffer.from(payload))
      })
    })
  })
  return new DroverClient({ endpoints: [api.url], secret })
}

function streams(stdin: Readable | null) {
  return { stdin, stdout: new PassThrough(), stderr: new PassThrough() }
}

t.test('stdin goes in, stdout and stderr come out apart, the exit code is the result', async (t) => {
  let first: ExecRequest | null = null
  const client = await fakeContainer(t, (socket, type, payload) => {
    if (type === FrameType.json) first = JSON.parse(payload.toString())
    if (type === FrameType.stdin) socket.send(encodeMessage(FrameType.stdout, payload))
    if (type !== FrameType.stdinEnd) return
    socket.send(encodeMessage(FrameType.stderr, 'bye'))
    socket.send(encodeMessage(FrameType.exit, '{"exitCode":7}'))
  })
  const io = streams(Readable.from([Buffer.alloc(300_000, 'a'), 'end']))
  const output = text(io.stdout)
  const session = await client.exec('web-1', request, io)
  t.equal(await session.exitCode, 7)
  io.stdout.end()
  t.equal(await output, `${'a'.repeat(300_000)}end`)
  t.equal(String(io.stderr.read()), 'bye')
  t.match(first, { container: 'web-1', command: ['cat'], terminal: null })
})

t.test('what comes together with the handshake is heard', async (t) => {
  const api = await fakeApi(t, (_, response) => answerError(response, 404, 'CONTAINER_NOT_FOUND', false))
  const sockets = new WebSocketServer({ noServer: true })
  api.server.on('upgrade', (message, stream, head) => {
    stream.cork()
    sockets.handleUpgrade(message, stream, head, (socket) => {
      socket.send(encodeMessage(FrameType.exit, '{"exitCode":3}'))
    })
    stream.uncork()
  })
  const client = new DroverClient({ endpoints: [api.url], secret })
  const session = await client.exec('web-1', request, streams(null))
  t.equal(await session.exitCode, 3)
})

t.test('resizes and signals reach the command', async (t) => {
  const frames: [number, string][] = []
  const client = await fakeContainer(t, (socket, type, payload) => {
    frames.push([type, payload.toString()])
    if (type === FrameType.signal) socket.send(encodeMessage(FrameType.exit, '{"exitCode":143}'))
  })
  const stdin = new PassThrough()
  const session = await client.exec('web-1', { ...request, terminal: { columns: 80, rows: 24 } }, streams(stdin))
  session.resize(100, 40)
  session.kill(15)
  t.equal(await session.exitCode, 143)
  t.same(frames.slice(1), [
    [FrameType.resize, '{"columns":100,"rows":40}'],
    [FrameType.signal, '{"signal":15}'],
  ])
})

t.test('an error frame, a broken connection and a refused handshake each become a DroverError', async (t) => {
  const refusing = await fakeContainer(t, (socket) =>
    socket.send(encodeMessage(FrameType.error, '{"error":{"code":"WRONG_STATE","message":"it is stopped"}}')),
  )
  const session = await refusing.exec('web-1', request, streams(null))
  await t.rejects(session.exitCode, { code: 'WRONG_STATE', message: 'it is stopped' })
  const breaking = await fakeContainer(t, (socket) => socket.terminate())
  await t.rejects((await breaking.exec('web-1', request, streams(null))).exitCode, { code: 'TRANSFER_FAILED' })
  await t.rejects(refusing.exec('web-9', request, streams(null)), { code: 'CONTAINER_NOT_FOUND' })
})

t.test('output that nobody takes stops the container from sending more', async (t) => {
  const total = 64
  let flushed = 0
  const client = await fakeContainer(t, (socket, type) => {
    if (type !== FrameType.stdinEnd) return
    for (let i = 0; i < total; i++) socket.send(encodeMessage(FrameType.stdout, Buffer.alloc(1 << 19)), () => flushed++)
    socket.send(encodeMessage(FrameType.exit, '{"exitCode":0}'))
  })
  const io = streams(null)
  const session = await client.exec('web-1', request, io)
  await new Promise((resolve) => io.stdout.once('readable', resolve))
  await new Promise((resolve) => setImmediate(resolve))
  t.ok(io.stdout.readableLength < total << 18, 'most of it has not been taken in')
  t.ok(flushed < total)
  io.stdout.resume()
  t.equal(await session.exitCode, 0)
})

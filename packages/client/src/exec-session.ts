// A command in a container over a WebSocket: frames as in protocol/frames.ts. Both directions have backpressure: stdin is read
// only as fast as the socket takes it, and the socket is paused while stdout or stderr don't drain.

import type { Readable, Writable } from 'node:stream'
import type { ExecRequest } from '@drover/protocol'
import { DroverError, decodeMessage, encodeMessage, FrameType, maxFrameBytes, paths } from '@drover/protocol/plain'
import { type RawData, WebSocket } from 'ws'
import { ConnectionFailure, readError } from './http-request.ts'
import type { Transport } from './transport.ts'

export interface ExecStreams {
  /** Null: the command reads end-of-file at once. */
  stdin: Readable | null
  stdout: Writable
  /** With a terminal everything comes on stdout. */
  stderr: Writable
  signal?: AbortSignal | null
}

export interface ExecSession {
  /** 128 + signal when killed. Rejects with a DroverError when the command could not be run or the stream broke. */
  exitCode: Promise<number>
  resize(columns: number, rows: number): void
  /** Sends a signal, by number, to the command. */
  kill(signal: number): void
}

/** Payload of one stdin frame; well under the longest frame, so that an interactive stream isn't stalled behind a large one. */
const stdinChunkBytes = 64 << 10
const handshakeTimeoutMs = 10_000
/** For the farewell after the last frame; ws would wait 30 s for a peer that doesn't answer it. */
const closeTimeoutMs = 500

export async function openExec(transport: Transport, request: ExecRequest, streams: ExecStreams): Promise<ExecSession> {
  const what = `exec in ${request.container}`
  const socket = await transport.attempt(what, { signal: streams.signal ?? null }, (endpoint) =>
    connect(endpoint, paths.exec(request.container), transport.authorization),
  )
  const exitCode = receive(socket, what, streams)
  exitCode.catch(() => {})
  socket.send(encodeMessage(FrameType.json, JSON.stringify(request)))
  void sendStdin(socket, streams.stdin)
  return {
    exitCode,
    resize: (columns, rows) => sendJson(socket, FrameType.resize, { columns, rows }),
    kill: (signal) => sendJson(socket, FrameType.signal, { signal }),
  }
}

function connect(endpoint: string, path: string, authorization: string): Promise<WebSocket> {
  const url = new URL(path, endpoint)
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
  const socket = new WebSocket(url, {
    headers: { authorization },
    handshakeTimeout: handshakeTimeoutMs,
    maxPayload: maxFrameBytes + 1,
    perMessageDeflate: false,
  })
  return new Promise((resolve, reject) => {
    socket.on('open', () => {
      // Before it reads: frames that come with the handshake wait until someone listens.
      socket.pause()
      resolve(socket)
    })
    socket.on('error', (error) => reject(new ConnectionFailure(endpoint, error)))
    socket.on('unexpected-response', (_, response) => {
      readError(endpoint, response)
        .then(reject, reject)
        .finally(() => socket.terminate())
    })
  })
}

function receive(socket: WebSocket, what: string, streams: ExecStreams): Promise<number> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      reject(streams.signal?.reason)
      socket.terminate()
    }
    const end = (settle: () => void) => {
      streams.signal?.removeEventListener('abort', abort)
      settle()
      socket.close()
      setTimeout(() => socket.terminate(), closeTimeoutMs).unref()
    }
    const broken = (why: string) =>
      end(() => reject(new DroverError('TRANSFER_FAILED', `${what}: ${why}; the command may still run`)))
    streams.signal?.addEventListener('abort', abort, { once: true })
    if (streams.signal?.aborted) abort()
    socket.on('error', (error) => broken(error.message))
    socket.on('close', (code, reason) => broken(`the connection ended early (${code} ${reason})`.trimEnd()))
    socket.on('message', (data: RawData) => {
      const { type, payload } = decodeMessage(asBuffer(data))
      if (type === FrameType.stdout) writeOrPause(socket, streams.stdout, payload)
      else if (type === FrameType.stderr) writeOrPause(socket, streams.stderr, payload)
      else if (type === FrameType.exit) {
        const exit = parseJson(payload) as { exitCode?: unknown } | null
        if (typeof exit?.exitCode !== 'number') return broken('the exit frame has no exit code')
        end(() => resolve(exit.exitCode as number))
      } else if (type === FrameType.error) end(() => reject(DroverError.fromJSON(parseJson(payload))))
    })
    socket.resume()
  })
}

function writeOrPause(socket: WebSocket, stream: Writable, payload: Uint8Array): void {
  if (stream.destroyed || stream.write(payload)) return
  socket.pause()
  stream.once('drain', () => socket.resume())
}

async function sendStdin(socket: WebSocket, stdin: Readable | null): Promise<void> {
  try {
    if (stdin) {
      for await (const chunk of stdin) {
        if (socket.readyState !== WebSocket.OPEN) return
        await sendChunked(socket, typeof chunk === 'string' ? Buffer.from(chunk) : (chunk as Buffer))
      }
    }
    await send(socket, FrameType.stdinEnd)
  } catch {
    // The socket is gone: receive() says so.
  }
}

async function sendChunked(socket: WebSocket, data: Buffer): Promise<void> {
  for (let at = 0; at < data.length; at += stdinChunkBytes) {
    await send(socket, FrameType.stdin, data.subarray(at, at + stdinChunkBytes))
  }
}

/** Resolves when the frame has been handed to the kernel: one frame in flight is the bound of the queue. */
function send(socket: WebSocket, type: FrameType, payload: Uint8Array | string = ''): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.send(encodeMessage(type, payload), (error) => (error ? reject(error) : resolve()))
  })
}

function sendJson(socket: WebSocket, type: FrameType, value: unknown): void {
  if (socket.readyState === WebSocket.OPEN) socket.send(encodeMessage(type, JSON.stringify(value)))
}

function asBuffer(data: RawData): Buffer {
  if (Buffer.isBuffer(data)) return data
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data)
}

function parseJson(payload: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(payload).toString('utf8'))
  } catch {
    return null
  }
}

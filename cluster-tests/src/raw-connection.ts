// A bare connection that says what it is given and keeps what it hears, for telling daemons nonsense.

import { readFileSync } from 'node:fs'
import { connect, type NetConnectOpts } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import type { TlsFiles } from '@drover/protocol'

export interface Heard {
  bytes: Buffer
  /** Whether the other side ended the connection within the time. */
  closed: boolean
}

const answerMs = 30_000

/** Says it, then listens until a whole frame is there, the other side closes, or an answer should have come long ago. */
export const ask = (target: NetConnectOpts, bytes: Uint8Array | string): Promise<Heard> =>
  say(target, bytes, answerMs, null, (heard) => firstFrame(heard) !== undefined)

/** Says it, then listens until that is enough, the other side closes or `patienceMs` is over. Never rejects: a refused connection is closed. */
export function say(
  target: NetConnectOpts,
  bytes: Uint8Array | string,
  patienceMs: number,
  tls: TlsFiles | null = null,
  enough: (heard: Buffer) => boolean = () => false,
): Promise<Heard> {
  return new Promise((resolve) => {
    const heard: Buffer[] = []
    const socket = tls ? connectTls({ ...(target as ConnectionOptions), ...material(tls) }) : connect(target)
    const finish = (closed: boolean) => {
      clearTimeout(timer)
      socket.destroy()
      resolve({ bytes: Buffer.concat(heard), closed })
    }
    const timer = setTimeout(() => finish(false), patienceMs)
    socket.on(tls ? 'secureConnect' : 'connect', () => socket.write(bytes))
    socket.on('data', (data) => {
      heard.push(data)
      if (enough(Buffer.concat(heard))) finish(false)
    })
    socket.on('error', () => finish(true))
    socket.on('close', () => finish(true))
  })
}

/** The PEM files as Node's TLS takes them. */
export function material({ authority, certificate, key }: TlsFiles) {
  return { ca: readFileSync(authority), cert: readFileSync(certificate), key: readFileSync(key) }
}

/** A frame of the engine socket and of the agents' streams: little-endian length of type and payload, type, payload. */
export function frame(type: number, payload: string | Uint8Array): Buffer {
  const body = Buffer.from(payload)
  const bytes = Buffer.alloc(5 + body.length)
  bytes.writeUInt32LE(1 + body.length, 0)
  bytes[4] = type
  body.copy(bytes, 5)
  return bytes
}

/** The JSON in the first frame that was heard. */
export function firstFrame(bytes: Buffer): unknown {
  if (bytes.length < 5) return undefined
  try {
    return JSON.parse(bytes.subarray(5, 4 + bytes.readUInt32LE(0)).toString())
  } catch {
    return undefined
  }
}

/** The same bytes for the same seed (xorshift32), so that a failure can be repeated. */
export function noise(seed: number, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  let state = seed | 1
  for (let at = 0; at < length; at++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    bytes[at] = state & 0xff
  }
  return bytes
}

// How two agents get a connection: mutual TLS 1.3, each with a certificate of the cluster's authority for its own address; plain
// TCP where no certificates are given (config.ts allows that on loopback only).

import { connect as connectPlain, createServer as createPlainServer, type Server, type Socket } from 'node:net'
import {
  connect as connectTls,
  createSecureContext,
  createServer as createTlsServer,
  type SecureContext,
  type TLSSocket,
} from 'node:tls'
import { DroverError } from '@drover/protocol'
import type { TlsMaterial } from '../tls.ts'

const dialDeadlineMs = 5_000
const minVersion = 'TLSv1.3'

export function listen(
  address: string,
  port: number,
  tls: TlsMaterial | null,
  accept: (socket: Socket) => void,
): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = tls
      ? createTlsServer(
          { ...tls, minVersion, requestCert: true, rejectUnauthorized: true, handshakeTimeout: dialDeadlineMs },
          (socket) => {
            socket.setNoDelay(true)
            accept(socket)
          },
        )
      : createPlainServer({ noDelay: true }, accept)
    server.once('error', (cause) => {
      reject(new DroverError('INTERNAL', `listen for streams on ${address}:${port}: ${cause.message}`, { cause }))
    })
    server.listen(port, address, () => resolve(server))
  })
}

export function dial(address: string, port: number, tls: TlsMaterial | null): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = tls
      ? resumable(tls, `${address}:${port}`, (session) =>
          connectTls({ host: address, port, secureContext: contextOf(tls), ...(session ? { session } : {}) }),
        )
      : connectPlain({ host: address, port, noDelay: true })
    const fail = (reason: string) => {
      socket.destroy()
      reject(new DroverError('TRANSFER_FAILED', `connect to agent ${address}:${port}: ${reason}`))
    }
    const timer = setTimeout(() => fail(`no answer within ${dialDeadlineMs} ms`), dialDeadlineMs)
    const failed = (error: Error) => {
      clearTimeout(timer)
      fail(error.message)
    }
    socket.once('error', failed)
    socket.once(tls ? 'secureConnect' : 'connect', () => {
      clearTimeout(timer)
      socket.off('error', failed)
      socket.setNoDelay(true)
      resolve(socket)
    })
  })
}

/** More peers than this are not remembered. */
const mostSessions = 256
const sessions = new WeakMap<TlsMaterial, Map<string, Buffer>>()

/**
 * With what the peer gave us at the end of the last handshake (RFC 8446, 2.2): both prove then that they had it, and neither shows and checks a
 * certificate anew, which is most of what a connection costs; each move has its own. The peer forgets it after minutes, then all is as before.
 */
function resumable(tls: TlsMaterial, peer: string, open: (session: Buffer | undefined) => TLSSocket): TLSSocket {
  const known = sessions.get(tls) ?? new Map<string, Buffer>()
  sessions.set(tls, known)
  const socket = open(known.get(peer))
  socket.on('session', (session) => {
    if (known.size >= mostSessions) known.clear()
    known.set(peer, session)
  })
  socket.once('error', () => known.delete(peer))
  return socket
}

const contexts = new WeakMap<TlsMaterial, SecureContext>()

/** To read the certificates is half of what a connection costs; each move has its own. */
function contextOf(tls: TlsMaterial): SecureContext {
  const known = contexts.get(tls)
  if (known) return known
  const made = createSecureContext({ ...tls, minVersion })
  contexts.set(tls, made)
  return made
}

// The agent's certificate, as its servers and clients take it. Without one it serves loopback only: nobody listens in there.

import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { type AgentConfig, busTlsName, DroverError, type TlsFiles } from '@drover/protocol'

/** PEM texts, named as Node's TLS takes them. */
export interface TlsMaterial {
  ca: Buffer
  cert: Buffer
  key: Buffer
}

/** What an agent shows to another: the cluster's secret, inside a connection that only the cluster's members can make. */
export interface Access {
  secret: string
  /** null: plain TCP. */
  tls: TlsMaterial | null
  /** Missing: nobody was removed. */
  removed?: RemovedHosts
}

/** Hosts that left the cluster: their certificates are good until they end, but nothing is given to whoever shows one. */
export class RemovedHosts {
  #names: ReadonlySet<string> = new Set()

  take(names: readonly string[]): void {
    this.#names = new Set(names)
  }

  /** The host that a peer is by its certificate, if it was removed. A connection without certificates has none. */
  has(socket: Socket): string | null {
    // To read a certificate costs a quarter of a millisecond.
    if (this.#names.size === 0 || !(socket instanceof TLSSocket)) return null
    const name = socket.getPeerCertificate().subject?.CN
    return typeof name === 'string' && this.#names.has(name) ? name : null
  }
}

/** Throws BAD_REQUEST when the files can't be read, or are missing where others could listen in. */
export function accessOf({ tls, address, secret, host }: AgentConfig): Access {
  if (tls) {
    const material = { ca: read(tls.authority), cert: read(tls.certificate), key: read(tls.key) }
    return { secret, tls: material, removed: new RemovedHosts() }
  }
  if (/^(127\.|::1$|localhost$)/.test(address)) return { secret, tls: null }
  throw new DroverError(
    'BAD_REQUEST',
    `configuration of host ${host}: tls is missing; without certificates an agent may only have a loopback address, not ${address}`,
  )
}

/** The bus client's way of saying the same. */
export function busTls({ authority, certificate, key }: TlsFiles) {
  return { caFile: authority, certFile: certificate, keyFile: key, servername: busTlsName }
}

function read(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new DroverError('BAD_REQUEST', `read TLS file ${path}: ${(cause as Error).message}`, { cause })
  }
}

// Where new hosts are taken in: one question over TLS, POST /v1/join, by whoever has a token. The host believes us by the
// fingerprint of the authority in its token; we believe it by the token's secret, which the log holds as a hash and gives to one key only.
// The authority's key never leaves its directory, the host's never its machine.

import { createHash, timingSafeEqual, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import { isIP } from 'node:net'
import { join } from 'node:path'
import {
  DroverError,
  errorCodes,
  type JoinAnswer,
  JoinRequest,
  paths,
  protocolVersion,
  version,
} from '@drover/protocol'
import { Compile } from '@drover/schema'
import { apiUrl, type ControllerContext } from './context.ts'
import { signHost } from './sign-host.ts'
import { submit } from './submit.ts'

const barrierDeadlineMs = 2_000
const maxBodyBytes = 64 << 10
const requestDeadlineMs = 10_000
/** Hosts join one after another; more than this at once are no hosts. */
const maxConnections = 32
const minVersion = 'TLSv1.3'

const validator = Compile(JoinRequest)

export interface JoinServer {
  listen(): Promise<void>
  close(): void
}

/** null where the configuration doesn't ask for it. */
export function joinServer(context: ControllerContext): JoinServer | null {
  const { join: wanted, tls, apiAddress, name } = context.config
  if (!wanted) return null
  if (!tls) throw new DroverError('BAD_REQUEST', `configuration of controller ${name}: join needs tls`)
  const chain = Buffer.concat([readFileSync(tls.certificate), readFileSync(tls.authority)])
  const server = createServer({ cert: chain, key: readFileSync(tls.key), minVersion }, (request, response) => {
    void answer(context, request, response)
  })
  server.requestTimeout = requestDeadlineMs
  server.headersTimeout = requestDeadlineMs
  server.maxConnections = maxConnections
  server.on('tlsClientError', (_, socket) => socket.destroy())
  return {
    listen: () =>
      new Promise((resolve, reject) => {
        server.once('error', reject)
        server.listen(wanted.port, apiAddress, resolve)
      }),
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}

/** SHA-256 of the authority's certificate, in hex. */
export function authorityFingerprint({ config }: ControllerContext): string {
  if (!config.tls) throw new DroverError('WRONG_STATE', `controller ${config.name} has no certificates`)
  return createHash('sha256')
    .update(new X509Certificate(readFileSync(config.tls.authority)).raw)
    .digest('hex')
}

async function answer(context: ControllerContext, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const reply = (status: number, body: unknown) => {
    response.writeHead(status, { 'content-type': 'application/json', connection: 'close' }).end(JSON.stringify(body))
  }
  try {
    if (request.method !== 'POST' || request.url !== paths.join)
      throw new DroverError('ROUTE_NOT_FOUND', `the port for new hosts answers POST ${paths.join} only`)
    reply(200, await letJoin(context, await bodyOf(request)))
  } catch (thrown) {
    const error = DroverError.from(thrown)
    context.logger.warn({ code: error.code, from: request.socket.remoteAddress }, error.message)
    reply(errorCodes[error.code].status, error.toJSON())
  }
}

async function letJoin(context: ControllerContext, wanted: JoinRequest): Promise<JoinAnswer> {
  const { config, log, machine, now } = context
  const { host, address, certificateRequest } = wanted
  if (wanted.protocolVersion !== protocolVersion)
    throw new DroverError(
      'VERSION_MISMATCH',
      `let host ${host} join: it speaks protocol ${wanted.protocolVersion} (drover ${wanted.version}), this controller ${protocolVersion} (drover ${version})`,
    )
  if (isIP(address) === 0)
    throw new DroverError('BAD_REQUEST', `let host ${host} join: address ${address} must be an IPv4 or IPv6 address`)
  if (log.status().role !== 'leader')
    throw new DroverError('NOT_LEADER', `let host ${host} join: controller ${config.name} is not the leader`)
  const secretHash = createHash('sha256').update(wanted.secret).digest()
  // What a leader before us has committed counts too.
  await log.barrier(barrierDeadlineMs)
  const known = machine.state.tables.hostTokens.get(host)
  if (!known || !timingSafeEqual(Buffer.from(known.secretHash, 'hex'), secretHash))
    throw new DroverError(
      'TOKEN_REFUSED',
      `let host ${host} join: its token is not known; it was taken back or replaced`,
    )
  const { cluster } = config
  const authority = (config.join as { authority: string }).authority
  // Signed before the token is spent: whatever is wrong with the request, the host may ask again.
  const certificate = await signHost({ authority, cluster, host, address, certificateRequest })
  const keyHash = keyHashOf(certificate)
  const used = { host, secretHash: secretHash.toString('hex'), keyHash, address }
  await submit(log, { type: 'HostTokenUsed', atMs: now(), ...used })
  return {
    cluster,
    host,
    certificate,
    authority: readFileSync(join(authority, 'authority.pem'), 'utf8'),
    secret: config.secret,
    natsServers: config.natsServers,
    endpoints: config.raft
      ? config.raft.members.map(({ api }) => apiUrl(api))
      : [`http://${urlHost(config.apiAddress)}:${config.apiPort}`],
    containerNetwork: config.containerNetwork,
    containerNetwork6: config.containerNetwork6 ?? null,
    gateway: config.gateway,
  }
}

const urlHost = (address: string): string => (isIP(address) === 6 ? `[${address}]` : address)

const keyHashOf = (certificate: string): string =>
  createHash('sha256')
    .update(new X509Certificate(certificate).publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex')

async function bodyOf(request: IncomingMessage): Promise<JoinRequest> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > maxBodyBytes)
      throw new DroverError('TOO_LARGE', `read a join request: it is over ${maxBodyBytes} bytes`)
    chunks.push(chunk)
  }
  let value: unknown
  try {
    value = JSON.parse(Buffer.concat(chunks).toString())
  } catch (cause) {
    throw new DroverError('BAD_REQUEST', 'read a join request: it is not JSON', { cause })
  }
  if (validator.Check(value)) return value
  const first = [...validator.Errors(value)][0]
  throw new DroverError('BAD_REQUEST', `read a join request: ${first?.instancePath || '/'} ${first?.message ?? ''}`)
}

// The agents' gRPC service, as the API's exec and logs use it. One channel per agent, kept.

import { readFileSync } from 'node:fs'
import { checkServerIdentity } from 'node:tls'
import { agentService, DroverError, type TlsFiles } from '@drover/protocol'
import {
  type ChannelCredentials,
  type ClientDuplexStream,
  type ClientReadableStream,
  credentials,
  Metadata,
  makeGenericClientConstructor,
  type ServiceError,
  status,
} from '@grpc/grpc-js'

const AgentClient = makeGenericClientConstructor(agentService, 'Agent')
type AgentClient = InstanceType<typeof AgentClient>

/** For a channel to an agent that doesn't answer. */
const keepaliveTimeMs = 10_000
const keepaliveTimeoutMs = 5_000
const maxMessageBytes = 2 << 20
const tlsName = 'agent'
/** Over the agent's own limit for the engine's answer, so that the one that knows more speaks first. */
const answerDeadlineMs = 15_000

export class AgentStreams {
  readonly #secret: string
  readonly #tls: TlsFiles | null
  readonly #clients = new Map<string, AgentClient>()

  constructor(secret: string, tls: TlsFiles | null) {
    this.#secret = secret
    this.#tls = tls
  }

  exec(address: string): ClientDuplexStream<Buffer, Buffer> {
    const client = this.#client(address)
    return client.exec!(this.#metadata()) as unknown as ClientDuplexStream<Buffer, Buffer>
  }

  logs(address: string, request: Buffer): ClientReadableStream<Buffer> {
    const client = this.#client(address)
    return client.logs!(request, this.#metadata()) as unknown as ClientReadableStream<Buffer>
  }

  /** One question, one answer (protocol/inside.ts). */
  inside(address: string, request: Buffer): Promise<Buffer> {
    return this.#ask('inside', address, request)
  }

  /** One piece of bulk data, one answer (protocol/bulk.ts). */
  bulk(address: string, request: Buffer): Promise<Buffer> {
    return this.#ask('bulk', address, request)
  }

  #ask(method: 'inside' | 'bulk', address: string, request: Buffer): Promise<Buffer> {
    const client = this.#client(address)
    const options = { deadline: Date.now() + answerDeadlineMs }
    return new Promise((resolve, reject) => {
      client[method]!(request, this.#metadata(), options, (error: ServiceError | null, answer?: Buffer) => {
        if (error || !answer) reject(error)
        else resolve(answer)
      })
    })
  }

  close(): void {
    for (const client of this.#clients.values()) client.close()
    this.#clients.clear()
  }

  #client(address: string): AgentClient {
    const known = this.#clients.get(address)
    if (known) return known
    const client = new AgentClient(address, channelCredentials(this.#tls, address), {
      // An address is no name: what is asked for is checked against the certificate above.
      ...(this.#tls ? { 'grpc.ssl_target_name_override': tlsName } : {}),
      'grpc.keepalive_time_ms': keepaliveTimeMs,
      'grpc.keepalive_timeout_ms': keepaliveTimeoutMs,
      'grpc.max_receive_message_length': maxMessageBytes,
      'grpc.max_reconnect_backoff_ms': 1_000,
    })
    this.#clients.set(address, client)
    return client
  }

  #metadata(): Metadata {
    const metadata = new Metadata()
    metadata.set('authorization', `Bearer ${this.#secret}`)
    return metadata
  }
}

/** Mutual TLS: the agent's certificate must be for the address that it reported. */
function channelCredentials(tls: TlsFiles | null, address: string): ChannelCredentials {
  if (tls === null) return credentials.createInsecure()
  const host = address.slice(0, address.lastIndexOf(':'))
  return credentials.createSsl(readFileSync(tls.authority), readFileSync(tls.key), readFileSync(tls.certificate), {
    checkServerIdentity: (_, certificate) => checkServerIdentity(host, certificate),
  })
}

/** What a broken call to a host’s agent means to a user. */
export function callError(error: ServiceError, doing: string, host: string): DroverError {
  const text = `${doing} on host ${host}: ${error.details || error.message}`
  const code =
    error.code === status.UNAVAILABLE
      ? 'HOST_UNREACHABLE'
      : error.code === status.UNAUTHENTICATED
        ? 'UNAUTHENTICATED'
        : error.code === status.NOT_FOUND
          ? 'CONTAINER_NOT_FOUND'
          : error.code === status.DEADLINE_EXCEEDED
            ? 'TIMED_OUT'
            : error.code === status.CANCELLED
              ? 'CANCELLED'
              : 'INTERNAL'
  return new DroverError(code, text, { cause: error })
}

// /v1/host-tokens: the words by which new hosts may join. The secret in one is drawn here and said once; the log has its hash.

import { createHash, createHmac, randomBytes } from 'node:crypto'
import {
  DroverError,
  encodeJoinToken,
  HostToken,
  HostTokenMade,
  HostTokenRequest,
  idempotencyHeader,
  usualTokenLifeMs,
} from '@drover/protocol'
import { Type } from '@drover/schema'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { hostTokenViews } from '../../core/apply-host-join.ts'
import { apiUrl, type ControllerContext } from '../context.ts'
import { authorityFingerprint } from '../join-server.ts'
import { submit } from '../submit.ts'
import { operationId } from './operation-id.ts'
import { NameParams, readRoute, writeRoute } from './route.ts'

const secretBytes = 24

export function hostTokenRoutes(app: FastifyInstance, context: ControllerContext): void {
  const { machine, now, log } = context
  app.get(
    '/v1/host-tokens',
    readRoute(context, Type.Array(HostToken), { summary: 'Tokens by which hosts may join, without their secrets' }),
    async () => hostTokenViews(machine.state, now()),
  )
  app.post(
    '/v1/host-tokens/:name',
    writeRoute(context, {
      summary: 'Make a token by which the host of this name may join, once; one that it had before is good no more',
      params: NameParams,
      body: HostTokenRequest,
      answer: HostTokenMade,
    }),
    async (request, reply) => {
      const { name: host } = request.params as { name: string }
      const { lifeMs = usualTokenLifeMs, again = false } = request.body as HostTokenRequest
      const controllers = joinAddresses(context)
      const fingerprint = authorityFingerprint(context)
      const secret = secretFor(context, request)
      const atMs = now()
      const expiresAtMs = atMs + lifeMs
      const secretHash = createHash('sha256').update(secret).digest('hex')
      const facts = { operation: operationId(request), host, secretHash, expiresAtMs, again }
      await submit(log, { type: 'HostTokenMade', atMs, ...facts })
      const token = encodeJoinToken({ host, controllers, fingerprint, secret })
      const made = machine.state.tables.hostTokens.get(host)
      return reply.status(202).send({ host, token, expiresAtMs: made?.expiresAtMs ?? expiresAtMs })
    },
  )
  app.delete(
    '/v1/host-tokens/:name',
    writeRoute(context, { summary: 'Take back the token of a host', params: NameParams }),
    async (request, reply) => {
      const { name: host } = request.params as { name: string }
      const entry = { type: 'HostTokenRevoked', atMs: now(), operation: operationId(request), host } as const
      return reply.status(202).send(await submit(log, entry))
    },
  )
}

/** The same for the same idempotency key, so that an answer that got lost can be asked for again; else drawn. */
function secretFor({ config }: ControllerContext, request: FastifyRequest): string {
  const key = request.headers[idempotencyHeader]
  if (typeof key !== 'string') return randomBytes(secretBytes).toString('base64url')
  return createHmac('sha256', config.secret)
    .update(`join token ${key}`)
    .digest()
    .subarray(0, secretBytes)
    .toString('base64url')
}

/** This controller first; every controller takes hosts in at the same port. */
function joinAddresses({ config }: ControllerContext): string[] {
  if (config.join === undefined)
    throw new DroverError(
      'WRONG_STATE',
      `make a token: controller ${config.name} takes no hosts in, it has no address that others reach (${config.apiAddress}); say drover up --address ADDRESS there`,
    )
  const { port } = config.join
  const others = (config.raft?.members ?? []).map(({ api }) => new URL(apiUrl(api)).hostname)
  return [...new Set([config.apiAddress, ...others])].map((address) => `${address}:${port}`)
}

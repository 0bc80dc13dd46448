// The HTTP API: the scopes and what they share. Resources have a file each.

import { DroverError, version } from '@drover/protocol'
import swagger from '@fastify/swagger'
import websocket from '@fastify/websocket'
import fastify, { type FastifyInstance } from 'fastify'
import { AgentStreams } from '../agent-streams.ts'
import type { ControllerContext } from '../context.ts'
import { archiveRoutes } from './archives.ts'
import { requireSecret } from './auth.ts'
import { containerRoutes } from './containers.ts'
import { dashboardFiles } from './dashboard.ts'
import { installErrors, sendError } from './errors.ts'
import { eventRoutes } from './events.ts'
import { execRoutes } from './exec.ts'
import { hostTokenRoutes } from './host-tokens.ts'
import { hostRoutes } from './hosts.ts'
import { imageRoutes } from './images.ts'
import { insideRoutes } from './inside.ts'
import { logRoutes } from './logs.ts'
import { metricsRoutes } from './metrics.ts'
import { operationRoutes } from './operations.ts'
import { policyRoutes } from './policy.ts'
import { preflightRoutes } from './preflight.ts'
import { profileRoutes } from './profiles.ts'
import { rebalanceRoutes } from './rebalance.ts'
import { snapshotRoutes } from './snapshots.ts'
import { statusRoutes } from './status.ts'
import { uploadRoutes } from './uploads.ts'
import { volumeRoutes } from './volumes.ts'

const bodyLimit = 1 << 20
/** For a whole request to arrive; answers may take as long as they like. */
const requestTimeoutMs = 30_000
/** A first WebSocket frame or one of stdin. */
const maxWebSocketPayload = (1 << 20) + 1

export async function apiServer(context: ControllerContext): Promise<FastifyInstance> {
  const app = fastify({
    bodyLimit,
    requestTimeout: requestTimeoutMs,
    forceCloseConnections: true,
    clientErrorHandler: (error, socket) => {
      if (!socket.writable || (error as NodeJS.ErrnoException).code === 'ECONNRESET') return void socket.destroy()
      const body = JSON.stringify(new DroverError('BAD_REQUEST', `read the request: ${error.message}`).toJSON())
      const head = `HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}`
      socket.end(`${head}\r\nconnection: close\r\n\r\n${body}`)
    },
  })
  installErrors(app, context.logger)
  allowEmptyBodies(app)
  installStatic(app)
  await app.register(swagger, {
    openapi: {
      info: {
        title: 'drover',
        version,
        description: 'Every write answers 202 with the operation that carries it out.',
      },
      components: { securitySchemes: { secret: { type: 'http', scheme: 'bearer' } } },
      security: [{ secret: [] }],
    },
  })
  await app.register(websocket, { options: { maxPayload: maxWebSocketPayload } })
  const agents = new AgentStreams(context.config.secret, context.config.tls ?? null)
  app.addHook('onClose', async () => agents.close())
  await app.register(async (v1) => {
    v1.addHook('onRequest', requireSecret(context.config.secret))
    statusRoutes(v1, context)
    hostRoutes(v1, context)
    hostTokenRoutes(v1, context)
    containerRoutes(v1, context)
    snapshotRoutes(v1, context)
    archiveRoutes(v1, context)
    operationRoutes(v1, context)
    policyRoutes(v1, context)
    rebalanceRoutes(v1, context)
    imageRoutes(v1, context)
    uploadRoutes(v1, context, agents)
    eventRoutes(v1, context)
    logRoutes(v1, context, agents)
    insideRoutes(v1, context, agents)
    preflightRoutes(v1, context, agents)
    execRoutes(v1, context, agents)
    metricsRoutes(v1, context)
    profileRoutes(v1, context)
    volumeRoutes(v1, context)
  })
  installHealth(app, context)
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger())
  return app
}

/** healthz: the process answers. readyz: it can also answer for the cluster. */
function installHealth(app: FastifyInstance, { log, config }: ControllerContext): void {
  app.get('/healthz', { schema: { hide: true } }, async () => ({ ok: true }))
  app.get('/readyz', { schema: { hide: true } }, async () => {
    const { role, leader, term, appliedIndex } = log.status()
    if (leader === null && role !== 'leader') {
      throw new DroverError('NO_QUORUM', `controller ${config.name} knows no leader`)
    }
    return { ok: true, role, term, appliedIndex }
  })
}

/** A write without fields needs no body, even when the client says that it is JSON. */
function allowEmptyBodies(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error')
  app.removeContentTypeParser('application/json')
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body.length === 0) done(null, undefined)
    else parse(request, body as string, done)
  })
}

/** What is no route: a file of the dashboard, or nothing. */
function installStatic(app: FastifyInstance): void {
  const files = dashboardFiles()
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?')[0] ?? '/'
    const file = request.method === 'GET' || request.method === 'HEAD' ? files.get(path) : undefined
    if (file) return reply.type(file.type).header('cache-control', 'no-cache').send(file.bytes)
    const shown = path.slice(0, 200)
    return sendError(reply, new DroverError('ROUTE_NOT_FOUND', `${request.method} ${shown}: the API has no such path`))
  })
}

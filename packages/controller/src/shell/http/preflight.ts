// GET /v1/containers/:name/preflight[?host=NAME]: could it move live now? The container is looked at by its host's engine, the hosts'
// features are compared; nothing is stopped and nothing is written.

import { type InsideResult, Preflight } from '@drover/protocol'
import { Type } from '@drover/schema'
import type { FastifyInstance } from 'fastify'
import { preflightOf } from '../../core/preflight.ts'
import { containerByName } from '../../core/state.ts'
import { notJoined } from '../../core/views.ts'
import type { AgentStreams } from '../agent-streams.ts'
import type { ControllerContext } from '../context.ts'
import { askInside } from './inside.ts'
import { NameParams, noContainer, readRoute } from './route.ts'

const HostQuery = Type.Object({ host: Type.Optional(Type.String()), stale: Type.Optional(Type.String()) })

export function preflightRoutes(app: FastifyInstance, context: ControllerContext, agents: AgentStreams): void {
  const { machine } = context
  const facts = { summary: 'Whether a container could move live now, and if not, why', params: NameParams }
  const options = readRoute(context, Preflight, facts)
  const route = { ...options, schema: { ...options.schema, querystring: HostQuery } }
  app.get('/v1/containers/:name/preflight', route, async (request) => {
    const { name } = request.params as { name: string }
    const { host = null } = request.query as { host?: string }
    const container = containerByName(machine.state, name)
    if (!container) throw noContainer(name)
    if (host !== null && !machine.state.tables.hosts.has(host)) throw notJoined(host)
    const seen =
      container.state === 'running'
        ? ((await askInside(context, agents, name, 'preflight', {})) as InsideResult<'preflight'>)
        : { findings: [] }
    return preflightOf(machine.state, context.reports, context.now(), container, seen, host)
  })
}

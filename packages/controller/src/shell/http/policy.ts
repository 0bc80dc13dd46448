// /v1/policy: what operators have said about pools, projects and rebalancing.

import { PolicyChange, SchedulingPolicy } from '@drover/protocol'
import type { FastifyInstance } from 'fastify'
import { policyOf } from '../../core/scheduling-policy.ts'
import type { ControllerContext } from '../context.ts'
import { submit } from '../submit.ts'
import { operationId } from './operation-id.ts'
import { readRoute, writeRoute } from './route.ts'

export function policyRoutes(app: FastifyInstance, context: ControllerContext): void {
  const { machine, log, now } = context
  app.get(
    '/v1/policy',
    readRoute(context, SchedulingPolicy, { summary: 'Pools, quotas of projects, and rebalancing' }),
    async () => policyOf(machine.state),
  )
  app.post(
    '/v1/policy',
    writeRoute(context, {
      summary: 'Change pools, quotas and rebalancing; what isn’t named stays, null is the default again',
      body: PolicyChange,
    }),
    async (request, reply) => {
      const operation = operationId(request)
      const change = request.body as PolicyChange
      return reply.status(202).send(await submit(log, { type: 'PolicyChanged', atMs: now(), operation, change }))
    },
  )
}

// /v1/operations: what is and was done, and cancelling it.

import { DroverError, Operation } from '@drover/protocol'
import { Type } from '@drover/schema'
import type { FastifyInstance } from 'fastify'
import { operationView, operationViews } from '../../core/operation-view.ts'
import type { ControllerContext } from '../context.ts'
import { submit } from '../submit.ts'
import { IdParams, readRoute, writeRoute } from './route.ts'

export function operationRoutes(app: FastifyInstance, context: ControllerContext): void {
  const { machine, log, now, reports } = context
  app.get(
    '/v1/operations',
    readRoute(context, Type.Array(Operation), { summary: 'Operations, oldest first; ended ones are kept for a while' }),
    async () => operationViews(machine.state, reports),
  )
  app.get(
    '/v1/operations/:id',
    readRoute(context, Operation, { summary: 'One operation', params: IdParams }),
    async (request) => {
      const { id } = request.params as { id: string }
      const operation = operationView(machine.state, reports, id)
      if (operation) return operation
      throw new DroverError('OPERATION_NOT_FOUND', `no operation has the id ${id}`, { context: { operation: id } })
    },
  )
  app.post(
    '/v1/operations/:id/cancel',
    writeRoute(context, {
      summary: 'Ask for an operation to be cancelled; a move can be until it is committed',
      params: IdParams,
      body: Type.Object({}, { additionalProperties: false }),
    }),
    async (request, reply) => {
      const { id: operation } = request.params as { id: string }
      return reply.status(202).send(await submit(log, { type: 'CancelRequested', atMs: now(), operation }))
    },
  )
}

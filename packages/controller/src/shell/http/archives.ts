// /v1/containers/:name/export and /v1/container-imports: a container's disk into a file of its host, and one of a disk that was sent to a host.

import { randomBytes } from 'node:crypto'
import { ContainerImportRequest, ExportRequest, paths } from '@drover/protocol'
import type { FastifyInstance } from 'fastify'
import type { ControllerContext } from '../context.ts'
import { importContainer } from '../placing.ts'
import { submit } from '../submit.ts'
import { operationId } from './operation-id.ts'
import { NameParams, writeRoute } from './route.ts'

export function archiveRoutes(app: FastifyInstance, context: ControllerContext): void {
  app.post(
    '/v1/containers/:name/export',
    writeRoute(context, {
      summary: 'Write the disk of a container, or of a snapshot of it, into a file of its host, to be read from there',
      params: NameParams,
      body: ExportRequest,
    }),
    async (request, reply) => {
      const { snapshot = null } = request.body as ExportRequest
      const operation = await submit(context.log, {
        type: 'ExportRequested',
        atMs: context.now(),
        operation: operationId(request),
        container: (request.params as { name: string }).name,
        snapshot,
        upload: randomBytes(16).toString('hex'),
      })
      return reply.status(202).send(operation)
    },
  )
  app.post(
    paths.containerImport,
    writeRoute(context, {
      summary: 'Make a container of a disk that was sent to a host',
      body: ContainerImportRequest,
    }),
    async (request, reply) =>
      reply
        .status(202)
        .send(await importContainer(context, operationId(request), request.body as ContainerImportRequest)),
  )
}

// /v1/volumes: directories that outlive containers. A container is given one as a device (SetRequest).

import { DroverError, type Operation, VolumeRequest, VolumeView } from '@drover/protocol'
import { Type } from '@drover/schema'
import type { FastifyInstance } from 'fastify'
import type { EntryOf } from '../../core/entries.ts'
import { volumeViews } from '../../core/volumes.ts'
import type { ControllerContext } from '../context.ts'
import { submit } from '../submit.ts'
import { operationId } from './operation-id.ts'
import { NameParams, readRoute, writeRoute } from './route.ts'

export function volumeRoutes(app: FastifyInstance, context: ControllerContext): void {
  const all = () => volumeViews(context.machine.state)
  app.get('/v1/volumes', readRoute(context, Type.Array(VolumeView), { summary: 'All volumes' }), async () => all())
  app.get(
    '/v1/volumes/:name',
    readRoute(context, VolumeView, { summary: 'One volume', params: NameParams }),
    async (request) => {
      const { name } = request.params as { name: string }
      const volume = all().find((each) => each.name === name)
      if (!volume)
        throw new DroverError('VOLUME_NOT_FOUND', `no volume is named ${name}`, { context: { volume: name } })
      return volume
    },
  )
  const write = (method: 'PUT' | 'DELETE', action: EntryOf<'VolumeChanged'>['action'], summary: string) =>
    app.route({
      method,
      url: '/v1/volumes/:name',
      ...writeRoute(context, { summary, params: NameParams, ...(action === 'delete' ? {} : { body: VolumeRequest }) }),
      handler: async (request, reply) => {
        const operation = await submit<Operation>(context.log, {
          type: 'VolumeChanged',
          atMs: context.now(),
          operation: operationId(request),
          name: (request.params as { name: string }).name,
          action,
          request: (request.body ?? {}) as VolumeRequest,
        })
        return reply.status(202).send(operation)
      },
    })
  write('PUT', 'create', 'Make a volume')
  write('DELETE', 'delete', 'Delete a volume that no container has, with all that is in it')
}

// /v1/images: what can be launched, and building it on a host.

import { DroverError, Image, ImageBuildRequest, type Operation } from '@drover/protocol'
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { isReady } from '../../core/observed.ts'
import { notJoined } from '../../core/views.ts'
import type { ControllerContext } from '../context.ts'
import { submit } from '../submit.ts'
import { operationId } from './operation-id.ts'
import { readRoute, writeRoute } from './route.ts'

export function imageRoutes(app: FastifyInstance, context: ControllerContext): void {
  const { machine } = context
  app.get('/v1/images', readRoute(context, Type.Array(Image), { summary: 'All images' }), async () =>
    [...machine.state.tables.images.values()].sort((left, right) => (left.name < right.name ? -1 : 1)),
  )
  app.post(
    '/v1/images',
    writeRoute(context, { summary: 'Build an image by a recipe, on one host', body: ImageBuildRequest }),
    async (request, reply) => {
      const wanted = request.body as ImageBuildRequest
      return reply.status(202).send(await build(context, operationId(request), wanted))
    },
  )
}

async function build(context: ControllerContext, operation: string, wanted: ImageBuildRequest): Promise<Operation> {
  const known = context.machine.state.tables.operations.get(operation)
  const host = known?.kind === 'image-build' ? String(known.parameters.host) : chooseHost(context, wanted)
  return await submit(context.log, {
    type: 'ImageBuildStarted',
    atMs: context.now(),
    operation,
    recipe: wanted.recipe,
    name: wanted.name ?? wanted.recipe,
    host,
  })
}

/** Any ready host can build; the first by name, so that a repeated build finds what it has made. */
function chooseHost({ machine, reports, now }: ControllerContext, wanted: ImageBuildRequest): string {
  const { hosts } = machine.state.tables
  if (wanted.host !== undefined && !hosts.has(wanted.host)) throw notJoined(wanted.host)
  const ready = [...hosts.keys()].filter((host) => isReady(reports, host, now())).sort()
  const host = wanted.host === undefined ? ready[0] : ready.find((name) => name === wanted.host)
  if (host !== undefined) return host
  const which = wanted.host === undefined ? 'no host is ready' : `host ${wanted.host} is not ready`
  throw new DroverError('HOST_UNREACHABLE', `build image ${wanted.name ?? wanted.recipe}: ${which}`)
}

// /v1/images: what can be launched; building it on a host, importing it, publishing a container as one, names and properties.

import {
  DroverError,
  Image,
  ImageBuildRequest,
  ImageImportRequest,
  ImageSetRequest,
  type Operation,
  PublishRequest,
  paths,
} from '@drover/protocol'
import { Type } from '@drover/schema'
import type { FastifyInstance } from 'fastify'
import type { EntryOf } from '../../core/entries.ts'
import { isReady } from '../../core/observed.ts'
import { containerByName } from '../../core/state.ts'
import { notJoined } from '../../core/views.ts'
import type { ControllerContext } from '../context.ts'
import { submit } from '../submit.ts'
import { operationId } from './operation-id.ts'
import { NameParams, noContainer, readRoute, writeRoute } from './route.ts'

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
  app.post(
    paths.imageImport,
    writeRoute(context, { summary: 'Make an image of what was sent to a host', body: ImageImportRequest }),
    async (request, reply) => {
      const { name, upload, host, sha256, init = null, properties = {}, origin } = request.body as ImageImportRequest
      const source = { kind: 'upload', upload, sha256, init } as const
      const from = origin === undefined ? {} : { origin }
      const facts = { kind: 'image-import', name, host, source, properties, ...from } as const
      return reply.status(202).send(await make(context, operationId(request), facts))
    },
  )
  app.post(
    '/v1/containers/:name/publish',
    writeRoute(context, {
      summary: 'Make an image of a container or of a snapshot of it',
      params: NameParams,
      body: PublishRequest,
    }),
    async (request, reply) => {
      const { name: container } = request.params as { name: string }
      const { image: name, snapshot = null, properties = {} } = request.body as PublishRequest
      const host = containerByName(machine.state, container)?.host
      if (host === undefined) throw noContainer(container)
      const source = { kind: 'container', container, snapshot } as const
      const facts = { kind: 'publish', name, host, source, properties } as const
      return reply.status(202).send(await make(context, operationId(request), facts))
    },
  )
  const change = async (operation: string, name: string, wanted: EntryOf<'ImageChanged'>['change']) =>
    submit<Operation>(context.log, { type: 'ImageChanged', atMs: context.now(), operation, name, change: wanted })
  const nameOf = (request: { params: unknown }): string => (request.params as { name: string }).name
  app.post(
    '/v1/images/:name/set',
    writeRoute(context, {
      summary: 'Another name for an image, or its properties',
      params: NameParams,
      body: ImageSetRequest,
    }),
    async (request, reply) =>
      reply.status(202).send(await change(operationId(request), nameOf(request), request.body as ImageSetRequest)),
  )
  app.delete(
    '/v1/images/:name',
    writeRoute(context, { summary: 'Take away a name of an image', params: NameParams }),
    async (request, reply) => reply.status(202).send(await change(operationId(request), nameOf(request), 'remove')),
  )
}

type Making = Omit<EntryOf<'ImageMakingStarted'>, 'type' | 'atMs' | 'operation'>

const make = (context: ControllerContext, operation: string, facts: Making): Promise<Operation> =>
  submit(context.log, { type: 'ImageMakingStarted', atMs: context.now(), operation, ...facts })

async function build(context: ControllerContext, operation: string, wanted: ImageBuildRequest): Promise<Operation> {
  const known = context.machine.state.tables.operations.get(operation)
  const doing = `build image ${wanted.name ?? wanted.recipe}`
  const host = known?.kind === 'image-build' ? String(known.parameters.host) : readyHost(context, wanted.host, doing)
  return await submit(context.log, {
    type: 'ImageBuildStarted',
    atMs: context.now(),
    operation,
    recipe: wanted.recipe,
    name: wanted.name ?? wanted.recipe,
    host,
    ...(wanted.properties === undefined ? {} : { properties: wanted.properties }),
  })
}

/** The one that is asked for, or any; the first by name, so that a repeated build finds what it has made. */
export function readyHost(
  { machine, reports, now }: ControllerContext,
  asked: string | undefined,
  doing: string,
): string {
  const { hosts } = machine.state.tables
  if (asked !== undefined && !hosts.has(asked)) throw notJoined(asked)
  const ready = [...hosts.keys()].filter((host) => isReady(reports, host, now())).sort()
  const host = asked === undefined ? ready[0] : ready.find((name) => name === asked)
  if (host !== undefined) return host
  const which = asked === undefined ? 'no host is ready' : `host ${asked} is not ready`
  throw new DroverError('HOST_UNREACHABLE', `${doing}: ${which}`)
}

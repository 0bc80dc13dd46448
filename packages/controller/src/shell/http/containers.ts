// /v1/containers: launching, looking at, starting, stopping, freezing, moving and deleting them.

import {
  Container,
  ContainerExplanation,
  DroverError,
  ExplainRequest,
  LaunchExplanation,
  LaunchesRequest,
  LaunchOutcome,
  LaunchRequest,
  MoveRequest,
  RebuildRequest,
  RenameRequest,
  SetRequest,
  StopRequest,
} from '@drover/protocol'
import { Type } from '@drover/schema'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { EntryOf } from '../../core/entries.ts'
import { containerByName } from '../../core/state.ts'
import { containerView, containerViews } from '../../core/views.ts'
import type { ControllerContext } from '../context.ts'
import { explainContainer, explainLaunch } from '../explaining.ts'
import { launchAll } from '../launch-batch.ts'
import { withUsualMemory } from '../launch-spec.ts'
import { launch, move } from '../placing.ts'
import { submit } from '../submit.ts'
import { operationId } from './operation-id.ts'
import { NameParams, noContainer, readRoute, writeRoute } from './route.ts'

const NoFields = Type.Object({}, { additionalProperties: false })
const nameOf = (request: FastifyRequest): string => (request.params as { name: string }).name

export function containerRoutes(app: FastifyInstance, context: ControllerContext): void {
  const { machine } = context
  app.get('/v1/containers', readRoute(context, Type.Array(Container), { summary: 'All containers' }), async () =>
    containerViews(machine.state),
  )
  app.get(
    '/v1/containers/:name',
    readRoute(context, Container, { summary: 'One container, with why it is where it is', params: NameParams }),
    async (request) => {
      const container = containerByName(machine.state, nameOf(request))
      if (!container) throw noContainer(nameOf(request))
      return containerView(machine.state, container)
    },
  )
  app.get(
    '/v1/containers/:name/explain',
    readRoute(context, ContainerExplanation, {
      summary: 'Why a container is where it is, and where it would go now',
      params: NameParams,
    }),
    async (request) => explainContainer(context, nameOf(request)),
  )
  app.post(
    '/v1/explain',
    readRoute(context, LaunchExplanation, {
      summary: 'Where a launch would go, and why not elsewhere; nothing is launched',
      body: ExplainRequest,
    }),
    async (request) => explainLaunch(context, request.body as ExplainRequest),
  )
  app.post(
    '/v1/containers',
    writeRoute(context, { summary: 'Launch a container where it fits best', body: LaunchRequest }),
    async (request, reply) =>
      reply.status(202).send(await launch(context, operationId(request), request.body as LaunchRequest)),
  )
  app.post(
    '/v1/launches',
    writeRoute(context, {
      summary: 'Launch several containers, planned together; what became of each',
      body: LaunchesRequest,
      answer: Type.Array(LaunchOutcome),
    }),
    async (request, reply) => {
      const { launches } = request.body as LaunchesRequest
      return reply.status(202).send(await launchAll(context, operationId(request), launches))
    },
  )
  app.post(
    '/v1/containers/:name/move',
    writeRoute(context, { summary: 'Move a container to another host', params: NameParams, body: MoveRequest }),
    async (request, reply) =>
      reply.status(202).send(await move(context, operationId(request), nameOf(request), request.body as MoveRequest)),
  )
  app.post(
    '/v1/containers/:name/set',
    writeRoute(context, {
      summary: 'Change limits and requests of a container, as it runs',
      params: NameParams,
      body: SetRequest,
    }),
    async (request, reply) => {
      const operation = await submit(context.log, {
        type: 'SetRequested',
        atMs: context.now(),
        operation: operationId(request),
        container: nameOf(request),
        change: withUsualMemory(context.machine.state, nameOf(request), request.body as SetRequest),
      })
      return reply.status(202).send(operation)
    },
  )
  app.post(
    '/v1/containers/:name/rename',
    writeRoute(context, { summary: 'Give a container another name', params: NameParams, body: RenameRequest }),
    async (request, reply) => {
      const operation = await submit(context.log, {
        type: 'ContainerRenamed',
        atMs: context.now(),
        operation: operationId(request),
        container: nameOf(request),
        name: (request.body as RenameRequest).name,
      })
      return reply.status(202).send(operation)
    },
  )
  app.post(
    '/v1/containers/:name/rebuild',
    writeRoute(context, { summary: 'Give a container a fresh disk', params: NameParams, body: RebuildRequest }),
    async (request, reply) => {
      const { image, force = false } = request.body as RebuildRequest
      const operation = await submit(context.log, {
        type: 'RebuildRequested',
        atMs: context.now(),
        operation: operationId(request),
        container: nameOf(request),
        image: imageOf(context, nameOf(request), image),
        force,
      })
      return reply.status(202).send(operation)
    },
  )
  powerRoutes(app, context)
}

/** As the cluster has it under that name now; its own one by its digest, if the name is gone. */
function imageOf({ machine }: ControllerContext, name: string, asked: string | undefined) {
  const container = containerByName(machine.state, name)
  if (!container) throw noContainer(name)
  const { image, imageName, init } = container.spec
  const found = machine.state.tables.images.get(asked ?? imageName)
  if (found) return { image: found.digest, imageName: found.name, init: found.init }
  if (asked === undefined) return { image, imageName, init }
  throw new DroverError('IMAGE_NOT_FOUND', `rebuild ${name}: there is no image ${asked}`, { context: { image: asked } })
}

function powerRoutes(app: FastifyInstance, context: ControllerContext): void {
  const answer = async (kind: EntryOf<'PowerRequested'>['kind'], request: FastifyRequest, reply: FastifyReply) => {
    const stopTimeoutMs = (request.body as StopRequest | undefined)?.timeoutMs ?? null
    const operation = await submit(context.log, {
      type: 'PowerRequested',
      atMs: context.now(),
      operation: operationId(request),
      kind,
      container: nameOf(request),
      stopTimeoutMs,
    })
    return reply.status(202).send(operation)
  }
  const summaries = {
    start: 'Start a stopped container',
    stop: 'Ask a container’s init to power off, and kill it after the timeout',
    restart: 'Stop a container as with stop, and start it again',
    freeze: 'Freeze all processes of a container',
    thaw: 'Let a frozen container run on',
  } as const
  for (const kind of ['start', 'stop', 'restart', 'freeze', 'thaw'] as const) {
    const body = kind === 'stop' || kind === 'restart' ? StopRequest : NoFields
    app.post(
      `/v1/containers/:name/${kind}`,
      writeRoute(context, { summary: summaries[kind], params: NameParams, body }),
      (request, reply) => answer(kind, request, reply),
    )
  }
  app.delete(
    '/v1/containers/:name',
    writeRoute(context, { summary: 'Delete a container and its disk', params: NameParams }),
    (request, reply) => answer('delete', request, reply),
  )
}

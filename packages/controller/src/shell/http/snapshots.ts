// /v1/containers/:name/snapshots and …/copy: taking, looking at, putting back and removing snapshots, and copying containers.

import { CopyRequest, DroverError, Name, Snapshot, SnapshotRequest, SnapshotRestoreRequest } from '@drover/protocol'
import { Type } from '@drover/schema'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { snapshotsOf } from '../../core/apply-snapshots.ts'
import type { Entry } from '../../core/entries.ts'
import { snapshotNameAt } from '../../core/planner-snapshot.ts'
import { containerByName } from '../../core/state.ts'
import type { ControllerContext } from '../context.ts'
import { copy } from '../placing.ts'
import { submit } from '../submit.ts'
import { operationId } from './operation-id.ts'
import { NameParams, noContainer, readRoute, writeRoute } from './route.ts'

const SnapshotParams = Type.Object({ name: Name, snapshot: Name })
const snapshotsPath = '/v1/containers/:name/snapshots'

export function snapshotRoutes(app: FastifyInstance, context: ControllerContext): void {
  const { machine, now } = context
  const facts = (request: FastifyRequest) => ({ atMs: now(), operation: operationId(request), ...named(request) })
  const propose = (entry: Entry) => submit(context.log, entry)

  const list = { summary: 'The snapshots of a container, oldest first', params: NameParams }
  app.get(snapshotsPath, readRoute(context, Type.Array(Snapshot), list), async (request) => {
    const { container } = named(request)
    const found = containerByName(machine.state, container)
    if (!found) throw noContainer(container)
    return snapshotsOf(found)
  })
  const take = { summary: 'Take a snapshot of a container', params: NameParams, body: SnapshotRequest }
  app.post(snapshotsPath, writeRoute(context, take), async (request, reply) => {
    const { name, memory = false, expiresInMs } = request.body as SnapshotRequest
    const atMs = now()
    const expiresAtMs = expiresInMs === undefined ? null : atMs + expiresInMs
    const entry = {
      ...facts(request),
      atMs,
      name: name ?? snapshotNameAt('snap', atMs),
      memory,
      expiresAtMs,
      scheduled: false,
    }
    return reply.status(202).send(await propose({ type: 'SnapshotRequested', ...entry }))
  })
  const putBack = {
    summary: 'Put a container back to a snapshot',
    params: SnapshotParams,
    body: SnapshotRestoreRequest,
  }
  app.post(`${snapshotsPath}/:snapshot/restore`, writeRoute(context, putBack), async (request, reply) => {
    const { start = false } = request.body as SnapshotRestoreRequest
    const entry = { ...facts(request), name: snapshotOf(request), start }
    return reply.status(202).send(await propose({ type: 'SnapshotRestoreRequested', ...entry }))
  })
  const remove = { summary: 'Delete a snapshot', params: SnapshotParams }
  app.delete(`${snapshotsPath}/:snapshot`, writeRoute(context, remove), async (request, reply) => {
    const entry = { ...facts(request), name: snapshotOf(request) }
    return reply.status(202).send(await propose({ type: 'SnapshotDeleteRequested', ...entry }))
  })
  const duplicate = {
    summary: 'Copy a container, or a snapshot of it, to a new one',
    params: NameParams,
    body: CopyRequest,
  }
  app.post('/v1/containers/:name/copy', writeRoute(context, duplicate), async (request, reply) => {
    const { container } = named(request)
    const operation = await copy(context, operationId(request), container, request.body as CopyRequest)
    return reply.status(202).send(operation)
  })
}

const named = (request: FastifyRequest) => ({ container: (request.params as { name: string }).name })

function snapshotOf(request: FastifyRequest): string {
  const { snapshot } = request.params as { snapshot?: string }
  if (snapshot === undefined) throw new DroverError('INTERNAL', 'a route without its snapshot')
  return snapshot
}

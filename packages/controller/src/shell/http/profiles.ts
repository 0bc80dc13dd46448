// /v1/profiles: named sets of settings.

import { DroverError, type Operation, Profile, ProfileRequest } from '@drover/protocol'
import { Type } from '@drover/schema'
import type { FastifyInstance } from 'fastify'
import type { EntryOf } from '../../core/entries.ts'
import type { ControllerContext } from '../context.ts'
import { submit } from '../submit.ts'
import { operationId } from './operation-id.ts'
import { NameParams, readRoute, writeRoute } from './route.ts'

export function profileRoutes(app: FastifyInstance, context: ControllerContext): void {
  const all = () =>
    [...context.machine.state.tables.profiles.values()].sort((left, right) => (left.name < right.name ? -1 : 1))
  app.get('/v1/profiles', readRoute(context, Type.Array(Profile), { summary: 'All profiles' }), async () => all())
  app.get(
    '/v1/profiles/:name',
    readRoute(context, Profile, { summary: 'One profile', params: NameParams }),
    async (request) => {
      const { name } = request.params as { name: string }
      const profile = context.machine.state.tables.profiles.get(name)
      if (!profile)
        throw new DroverError('PROFILE_NOT_FOUND', `no profile is named ${name}`, { context: { profile: name } })
      return profile
    },
  )
  const write = (method: 'PUT' | 'POST' | 'DELETE', action: EntryOf<'ProfileChanged'>['action'], summary: string) =>
    app.route({
      method,
      url: '/v1/profiles/:name',
      ...writeRoute(context, { summary, params: NameParams, ...(action === 'remove' ? {} : { body: ProfileRequest }) }),
      handler: async (request, reply) => {
        const operation = await submit<Operation>(context.log, {
          type: 'ProfileChanged',
          atMs: context.now(),
          operation: operationId(request),
          name: (request.params as { name: string }).name,
          action,
          request: (request.body ?? {}) as ProfileRequest,
        })
        return reply.status(202).send(operation)
      },
    })
  write('PUT', 'create', 'Make a profile')
  write('POST', 'change', 'Change a profile; its containers follow')
  write('DELETE', 'remove', 'Remove a profile that no container has')
}

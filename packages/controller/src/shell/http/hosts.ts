// /v1/hosts: what they have and carry, and closing, opening and emptying them.

import {
  EvacuateRequest,
  EvacuationPlanRequest,
  EvacuationPlanView,
  HostLostRequest,
  HostSetRequest,
  HostView,
  RestoreRequest,
} from '@drover/protocol'
import { Type } from '@drover/schema'
import type { FastifyInstance } from 'fastify'
import { defaultParallel, evacuationPlan } from '../../core/evacuation-plan.ts'
import { hostNamed, hostViews, notJoined } from '../../core/views.ts'
import type { ControllerContext } from '../context.ts'
import { submit } from '../submit.ts'
import { operationId } from './operation-id.ts'
import { NameParams, readRoute, writeRoute } from './route.ts'

export function hostRoutes(app: FastifyInstance, context: ControllerContext): void {
  const { machine, reports, now, log } = context
  app.get('/v1/hosts', readRoute(context, Type.Array(HostView), { summary: 'All hosts' }), async () =>
    hostViews(machine.state, reports, now()),
  )
  app.get(
    '/v1/hosts/:name',
    readRoute(context, HostView, { summary: 'One host', params: NameParams }),
    async (request) => hostNamed(machine.state, reports, now(), (request.params as { name: string }).name),
  )
  app.post(
    '/v1/hosts/:name/evacuate',
    writeRoute(context, {
      summary: 'Close a host to new containers and move all of its containers elsewhere',
      params: NameParams,
      body: EvacuateRequest,
    }),
    async (request, reply) => {
      const { name: host } = request.params as { name: string }
      const wishes = request.body as EvacuateRequest
      const operation = operationId(request)
      const entry = { parallel: defaultParallel, ...wishes, operation, host } as const
      return reply.status(202).send(await submit(log, { type: 'EvacuationStarted', atMs: now(), ...entry }))
    },
  )
  app.post(
    '/v1/hosts/:name/set',
    writeRoute(context, {
      summary: 'Change labels, taints, pool, rack and zone of a host; null takes away',
      params: NameParams,
      body: HostSetRequest,
    }),
    async (request, reply) => {
      const { name: host } = request.params as { name: string }
      const operation = operationId(request)
      const change = request.body as HostSetRequest
      return reply.status(202).send(await submit(log, { type: 'HostSet', atMs: now(), operation, host, change }))
    },
  )
  app.post(
    '/v1/hosts/:name/lost',
    writeRoute(context, {
      summary: 'Say that a silent host is dead for sure: what may be is started elsewhere at once',
      params: NameParams,
      body: HostLostRequest,
    }),
    async (request, reply) => {
      const { name: host } = request.params as { name: string }
      const operation = operationId(request)
      const { fresh = false } = request.body as HostLostRequest
      const entry = { type: 'HostLost', atMs: now(), host, sure: true, fresh, operation } as const
      return reply.status(202).send(await submit(log, entry))
    },
  )
  app.delete(
    '/v1/hosts/:name',
    writeRoute(context, {
      summary:
        'Remove a host that has no containers; with `?force=1` also when images are on no other host, and a dead one with its containers',
      params: NameParams,
    }),
    async (request, reply) => {
      const { name: host } = request.params as { name: string }
      const force = (request.query as { force?: string }).force === '1'
      const entry = { type: 'HostRemoved', atMs: now(), operation: operationId(request), host, force } as const
      return reply.status(202).send(await submit(log, entry))
    },
  )
  app.post(
    '/v1/evacuation-plan',
    readRoute(context, EvacuationPlanView, {
      summary: 'What emptying hosts would do; nothing is changed',
      body: EvacuationPlanRequest,
    }),
    async (request) => {
      const { hosts, ...wishes } = request.body as EvacuationPlanRequest
      for (const host of hosts) if (!machine.state.tables.hosts.has(host)) throw notJoined(host)
      return evacuationPlan(machine.state, reports, now(), hosts, wishes)
    },
  )
  for (const kind of ['cordon', 'uncordon', 'restore'] as const) {
    const summary = kind === 'cordon' ? 'Close a host to new containers' : 'Open a host to containers again'
    const body = kind === 'restore' ? RestoreRequest : Type.Object({}, { additionalProperties: false })
    app.post(
      `/v1/hosts/:name/${kind}`,
      writeRoute(context, { summary, params: NameParams, body }),
      async (request, reply) => {
        const { name: host } = request.params as { name: string }
        const operation = operationId(request)
        const { bringBack, parallel = defaultParallel } = request.body as RestoreRequest
        const back = bringBack === true ? { bringBack: parallel } : {}
        return reply
          .status(202)
          .send(await submit(log, { type: 'HostCordonRequested', atMs: now(), operation, kind, host, ...back }))
      },
    )
  }
}

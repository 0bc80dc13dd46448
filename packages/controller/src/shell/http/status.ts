// GET /v1/status.

import { ClusterStatus, type ClusterStatus as Status } from '@drover/protocol'
import type { FastifyInstance } from 'fastify'
import { clusterStatus } from '../../core/views.ts'
import { apiUrl, type ControllerContext } from '../context.ts'
import { readRoute } from './route.ts'

export function statusRoutes(app: FastifyInstance, context: ControllerContext): void {
  app.get('/v1/status', readRoute(context, ClusterStatus, { summary: 'The cluster at a glance' }), async () => {
    const { machine, reports, now } = context
    return clusterStatus(machine.state, reports, now(), controllerFacts(context))
  })
}

function controllerFacts({
  config,
  log,
}: ControllerContext): Pick<Status, 'cluster' | 'controller' | 'leader' | 'controllers'> {
  const { role, leader } = log.status()
  const { cluster, name: controller, raft, apiAddress, apiPort } = config
  if (!raft) {
    const leads = role === 'leader'
    const address = `http://${apiAddress}:${apiPort}`
    return {
      cluster,
      controller,
      leader: leads ? controller : null,
      controllers: [{ name: controller, address, leader: leads }],
    }
  }
  const controllers = raft.members.map(({ id, name, api }) => ({
    name,
    address: apiUrl(api),
    leader: id === leader?.id,
  }))
  return { cluster, controller, leader: controllers.find((each) => each.leader)?.name ?? null, controllers }
}

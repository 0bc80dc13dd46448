// GET /metrics: figures for Prometheus, as this controller knows them. It wants the cluster's secret like everything else.

import type { FastifyInstance } from 'fastify'
import { renderMetrics } from '../../core/metrics.ts'
import { OperationCounts } from '../../core/operation-counts.ts'
import type { ControllerContext } from '../context.ts'

export function metricsRoutes(app: FastifyInstance, context: ControllerContext): void {
  const { config, log, machine, reports, events, pending, now } = context
  const counts = new OperationCounts()
  const off = machine.onApplied((applied) => counts.note(applied))
  app.addHook('onClose', async () => off())
  app.get('/metrics', { schema: { summary: 'Figures for Prometheus, as text' } }, async (_, reply) => {
    const { role, term } = log.status()
    const figures = {
      cluster: config.cluster,
      controller: config.name,
      leads: role === 'leader',
      term,
      appliedIndex: machine.state.index,
      pendingPlacements: pending.size,
      eventListeners: events.listeners,
    }
    const text = renderMetrics(machine.state, reports, now(), figures, counts)
    return reply.type('text/plain; version=0.0.4; charset=utf-8').send(text)
  })
}

// /v1/rebalance: what is planned, doing it, and what was planned and done.

import {
  type Operation,
  RebalancePlanView,
  RebalanceRecord,
  RebalanceStatus,
  type RebalanceStatus as Status,
} from '@drover/protocol'
import { Type } from '@drover/schema'
import type { FastifyInstance } from 'fastify'
import { operationUnderWay, rebalanceEntry } from '../../core/planner-rebalance.ts'
import { historyOf, lastRecord, rebalancePlan, rebalancePolicy } from '../../core/rebalance-plan.ts'
import { policyOf } from '../../core/scheduling-policy.ts'
import type { ControllerContext } from '../context.ts'
import { submit } from '../submit.ts'
import { operationId } from './operation-id.ts'
import { readRoute, writeRoute } from './route.ts'

const hourMs = 3_600_000

export function rebalanceRoutes(app: FastifyInstance, context: ControllerContext): void {
  const { machine, reports, log, now, seed } = context
  const planned = () => rebalancePlan(machine.state, reports, now(), 'manual')
  app.get('/v1/rebalance', readRoute(context, RebalanceStatus, { summary: 'Rebalancing at a glance' }), async () =>
    statusOf(context, planned().view.imbalanceBefore),
  )
  app.get(
    '/v1/rebalance/plan',
    readRoute(context, RebalancePlanView, { summary: 'What rebalancing by hand would do now; nothing is changed' }),
    async () => planned().view,
  )
  app.get(
    '/v1/rebalance/history',
    readRoute(context, Type.Array(RebalanceRecord), {
      summary: 'Plans that were carried out, and dry runs; oldest first',
    }),
    async () => [...machine.state.tables.rebalances.values()].sort((left, right) => left.index - right.index),
  )
  app.post(
    '/v1/rebalance/apply',
    writeRoute(context, {
      summary: 'Plan now and carry the plan out; quiet hours and budgets are for automatic rebalancing only',
      body: Type.Object({}, { additionalProperties: false }),
    }),
    async (request, reply) => {
      const operation = operationId(request)
      const before = machine.state.tables.operations.get(operation)
      if (before?.kind === 'rebalance') return reply.status(202).send(before)
      const facts = { state: machine.state, nowMs: now(), seed: seed() }
      const entry = rebalanceEntry(facts, planned(), { trigger: 'manual', operation })
      return reply.status(202).send(await submit<Operation>(log, entry))
    },
  )
}

function statusOf({ machine, now }: ControllerContext, imbalance: number): Status {
  const { state } = machine
  const last = lastRecord(state)
  const { moves } = historyOf(state)
  return {
    settings: { mode: 'off', ...policyOf(state).rebalance },
    active: last?.active ?? false,
    imbalance,
    movesLastHour: moves.filter(({ atMs, budgeted }) => budgeted && now() - atMs < hourMs).length,
    movesPerHour: rebalancePolicy(state, 'default', 'auto').movesPerHour,
    operation: operationUnderWay(state),
    last,
  }
}

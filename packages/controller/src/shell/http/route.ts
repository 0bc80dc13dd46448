// What the routes of every resource share: the leader answers, answers and errors have schemas.

import { DroverError, Name, Operation } from '@drover/protocol'
import { type TSchema, Type } from '@drover/schema'
import type { RouteShorthandOptions } from 'fastify'
import type { ControllerContext } from '../context.ts'
import { leaderOnly } from './forward.ts'

export const NameParams = Type.Object({ name: Name })
export const IdParams = Type.Object({ id: Type.String({ minLength: 1, maxLength: 128 }) })
const ReadQuery = Type.Object({
  stale: Type.Optional(Type.String({ description: '1: as this controller knows it, without asking the leader' })),
})
const ErrorAnswer = Type.Object({
  error: Type.Object({
    code: Type.String(),
    message: Type.String(),
    retryable: Type.Boolean(),
    context: Type.Record(Type.String(), Type.Unknown()),
  }),
})

interface RouteFacts {
  summary: string
  params?: TSchema
  body?: TSchema
  /** Of a write that isn't one operation. */
  answer?: TSchema
}

export function readRoute(context: ControllerContext, answer: TSchema, facts: RouteFacts): RouteShorthandOptions {
  return {
    preHandler: leaderOnly(context),
    schema: { ...schemaOf(facts), querystring: ReadQuery, response: { 200: answer, default: ErrorAnswer } },
  }
}

export function writeRoute(context: ControllerContext, facts: RouteFacts): RouteShorthandOptions {
  return {
    preHandler: leaderOnly(context),
    // A body is optional where all its fields are.
    preValidation: async (request) => {
      if (facts.body && (request.body === undefined || request.body === null)) request.body = {}
    },
    schema: { ...schemaOf(facts), response: { 202: facts.answer ?? Operation, default: ErrorAnswer } },
  }
}

export function streamRoute(facts: RouteFacts & { querystring?: TSchema }) {
  return { schema: { ...schemaOf(facts), ...(facts.querystring ? { querystring: facts.querystring } : {}) } }
}

export const noContainer = (name: string) =>
  new DroverError('CONTAINER_NOT_FOUND', `no container is named ${name}`, { context: { container: name } })

const schemaOf = ({ summary, params, body }: RouteFacts) => ({
  summary,
  ...(params ? { params } : {}),
  ...(body ? { body } : {}),
})

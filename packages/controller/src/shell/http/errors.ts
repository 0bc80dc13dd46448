// Every error of the API as an ErrorBody with a code of the protocol, Fastify's own included.

import { DroverError, errorCodes } from '@drover/protocol'
import type { TSchema } from '@drover/schema'
import { Compile } from '@drover/schema'
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { Logger } from 'pino'

/** A value in a message is cut after this many characters. */
const shownValueLength = 80

export function installErrors(app: FastifyInstance, logger: Logger): void {
  app.setErrorHandler((thrown, request, reply) => {
    const error = asDroverError(thrown)
    if (error.code === 'INTERNAL') logger.error({ err: thrown, url: request.url }, 'request failed')
    // Fastify would close at once, and who is still sending would get a broken pipe in place of this answer. The rest is read and forgotten.
    if (error.code === 'TOO_LARGE') reply.removeHeader('connection')
    return sendError(reply, error)
  })
  app.setValidatorCompiler(({ schema, httpPart }) => {
    const validator = Compile(schema as TSchema)
    return (value: unknown) => {
      if (validator.Check(value)) return { value }
      return { error: explain(value, [...validator.Errors(value)], httpPart ?? 'body') }
    }
  })
  // Answers are made by our own types: they need no second schema pass.
  app.setSerializerCompiler(() => JSON.stringify)
}

export function sendError(reply: FastifyReply, error: DroverError): FastifyReply {
  return reply.status(errorCodes[error.code].status).type('application/json').send(JSON.stringify(error.toJSON()))
}

function asDroverError(thrown: unknown): DroverError {
  if (thrown instanceof DroverError) return thrown
  const { code, statusCode, message } = thrown as { code?: string; statusCode?: number; message?: string }
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return new DroverError('TOO_LARGE', 'read the request: its body is over 1 MiB', { context: { limit: 1 << 20 } })
  }
  if (thrown instanceof SyntaxError) return new DroverError('BAD_REQUEST', `read the body: it is not JSON: ${message}`)
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new DroverError('BAD_REQUEST', `read the request: ${message}`)
  }
  return DroverError.from(thrown)
}

interface SchemaError {
  keyword: string
  instancePath: string
  message: string
  params: Record<string, unknown>
}

/** The first broken rule, with field, value and rule. */
function explain(value: unknown, errors: readonly unknown[], part: string): DroverError {
  const all = errors as readonly SchemaError[]
  // `boolean` only says that an additionalProperties rule was broken, which has its own, clearer error.
  const first = all.find(({ keyword }) => keyword !== 'boolean' && keyword !== 'const') ?? all[0]
  const path = (first?.instancePath ?? '').split('/').slice(1)
  const field = [part, ...path].join('.')
  const bad = path.reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], value)
  const rule = ruleOf(first, all)
  const shown = JSON.stringify(bad)?.slice(0, shownValueLength) ?? 'nothing'
  return new DroverError('BAD_REQUEST', `${field}: ${rule}; it is ${shown}`, { context: { field, rule } })
}

function ruleOf(error: SchemaError | undefined, all: readonly SchemaError[]): string {
  if (error?.keyword === 'additionalProperties') {
    return `has no such field: ${(error.params.additionalProperties as string[]).join(', ')}`
  }
  if (error?.keyword === 'required') {
    return `lacks ${(error.params.requiredProperties as string[] | undefined)?.join(', ') ?? 'a field'}`
  }
  if (error?.keyword === 'anyOf') {
    const allowed = all
      .filter(({ keyword, instancePath }) => keyword === 'const' && instancePath === error.instancePath)
      .map(({ params }) => JSON.stringify(params.allowedValue))
    if (allowed.length > 0) return `must be one of ${allowed.join(', ')}`
  }
  return error?.message ?? 'breaks its rule'
}

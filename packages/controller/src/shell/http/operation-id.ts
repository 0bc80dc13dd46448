// The id of the operation that a write begins: from its Idempotency-Key, so that the same key gives the same operation on
// every controller; without one the write is its own.

import { createHash, randomUUID } from 'node:crypto'
import { DroverError, idempotencyHeader } from '@drover/protocol'
import type { FastifyRequest } from 'fastify'

const maxKeyLength = 200
/** 48 bits: among the some thousand operations that are kept, no two meet. */
const idDigits = 12

export function operationId(request: FastifyRequest): string {
  const key = request.headers[idempotencyHeader] ?? randomUUID()
  if (typeof key !== 'string' || key.length === 0 || key.length > maxKeyLength) {
    throw new DroverError('BAD_REQUEST', `header ${idempotencyHeader}: must have 1 to ${maxKeyLength} characters`, {
      context: { field: idempotencyHeader, limit: maxKeyLength },
    })
  }
  return `op-${createHash('sha256').update(key).digest('hex').slice(0, idDigits)}`
}

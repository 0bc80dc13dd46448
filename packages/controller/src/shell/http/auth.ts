// Bearer authentication by the cluster secret, compared in constant time. It is a hook of the scope that all of /v1 is
// registered in, so it can't be evaded by another spelling of a path.

import { createHash, timingSafeEqual } from 'node:crypto'
import { DroverError } from '@drover/protocol'
import type { FastifyRequest } from 'fastify'

export function requireSecret(secret: string) {
  const expected = digest(`Bearer ${secret}`)
  return async (request: FastifyRequest): Promise<void> => {
    if (timingSafeEqual(digest(request.headers.authorization ?? ''), expected)) return
    throw new DroverError(
      'UNAUTHENTICATED',
      'the request lacks `authorization: Bearer <cluster secret>`, or its secret is wrong',
    )
  }
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

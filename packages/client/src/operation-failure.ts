// An operation that did not end well, as the error that it stands for.

import type { Operation } from '@drover/protocol'
import { DroverError } from '@drover/protocol/plain'

/** Null when the operation is done or still running. */
export function operationFailure(operation: Operation): DroverError | null {
  const what = `${operation.kind} ${operation.target}`
  const context = { operation: operation.id }
  if (operation.state === 'cancelled') return new DroverError('CANCELLED', `${what}: cancelled`, { context })
  if (operation.state !== 'failed') return null
  const error = operation.error ?? { code: 'INTERNAL', message: 'it failed without saying why' }
  const { code, message } = DroverError.fromJSON({ error })
  return new DroverError(code, message.startsWith(what) ? message : `${what}: ${message}`, { context })
}

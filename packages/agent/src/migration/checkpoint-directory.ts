// Where checkpoints pass through: a directory per operation on tmpfs, which nobody but root reaches.

import { createHash } from 'node:crypto'
import { mkdirSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { DroverError } from '@drover/protocol'

const operationPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/

/** <root>/<operation>/images: 0755 inside a 0700 parent, as CRIU with a user namespace needs it. An old one goes. */
export function checkpointDirectory(
  root: string,
  operation: string,
  make: boolean,
): { directory: string; remove: () => void } {
  if (!operationPattern.test(operation)) {
    throw new DroverError('BAD_REQUEST', `operation id ${JSON.stringify(operation.slice(0, 80))} is no plain name`)
  }
  const parent = join(root, operation)
  rmSync(parent, { recursive: true, force: true })
  mkdirSync(parent, { recursive: true, mode: 0o700 })
  const directory = join(parent, 'images')
  if (make) mkdirSync(directory, { mode: 0o755 })
  return { directory, remove: () => rmSync(parent, { recursive: true, force: true }) }
}

/** /run is a tmpfs on any system with an init; the name keeps agents apart that share one. Without root: among the agent's data. */
export function checkpointRootFor(dataDirectory: string): string {
  if (process.getuid?.() !== 0) return join(dataDirectory, 'checkpoints')
  const agent = createHash('sha256').update(resolve(dataDirectory)).digest('hex').slice(0, 12)
  return join('/run/drover', `checkpoints-${agent}`)
}

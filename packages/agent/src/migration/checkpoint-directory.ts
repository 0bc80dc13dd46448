// Where checkpoints pass through: a directory per operation on tmpfs, which nobody but root reaches.

import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readdirSync, rmdirSync, rmSync, statfsSync, unlinkSync } from 'node:fs'
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
  removeTree(parent)
  mkdirSync(parent, { recursive: true, mode: 0o700 })
  const directory = join(parent, 'images')
  if (make) {
    mkdirSync(directory)
    // Whatever the umask is.
    chmodSync(directory, 0o755)
  }
  return { directory, remove: () => removeTree(parent) }
}

/** A checkpoint has dozens of small files, and rmSync looks at each three times before it removes it. */
export function removeTree(directory: string): void {
  if (!existsSync(directory)) return
  try {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      const path = `${directory}/${entry.name}`
      if (entry.isDirectory()) removeTree(path)
      else unlinkSync(path)
    }
    rmdirSync(directory)
  } catch {
    // Gone meanwhile, or somebody still writes there: that one is patient, and knows the right error.
    rmSync(directory, { recursive: true, force: true })
  }
}

/** In /run where that is a tmpfs, as with any init; the name keeps apart agents that share it. Else among the agent's data. */
export function checkpointRootFor(dataDirectory: string): string {
  if (process.getuid?.() !== 0 || !isTmpfs('/run')) return join(dataDirectory, 'checkpoints')
  const agent = createHash('sha256').update(resolve(dataDirectory)).digest('hex').slice(0, 12)
  return join('/run/drover', `checkpoints-${agent}`)
}

/** TMPFS_MAGIC of linux/magic.h. */
const tmpfsMagic = 0x01021994

function isTmpfs(path: string): boolean {
  try {
    return statfsSync(path).type === tmpfsMagic
  } catch {
    return false
  }
}

// The file in which an engine leaves the index of a layer for its agent: among what goes with the session.

import { readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { AgentParts } from '../parts.ts'
import type { MigrationSession } from './session.ts'
import { mostIndexBytes, parseTreeIndex, type TreeIndex } from './tree-index.ts'

export function indexPath({ checkpointRoot }: AgentParts, session: MigrationSession): string {
  const path = join(checkpointRoot, `${session.operation}.index`)
  rmSync(path, { force: true })
  session.defer(() => rmSync(path, { force: true }))
  return path
}

/** Nothing: the engine made none, or one that is too large. The file goes. */
export function readIndexBytes(path: string): Buffer {
  try {
    return statSync(path).size > mostIndexBytes ? Buffer.alloc(0) : readFileSync(path)
  } catch {
    return Buffer.alloc(0)
  } finally {
    rmSync(path, { force: true })
  }
}

export function readIndexFile(path: string): TreeIndex | null {
  return parseTreeIndex(readIndexBytes(path))
}

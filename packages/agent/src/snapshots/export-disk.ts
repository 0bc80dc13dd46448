// The disk of a container, or of a snapshot of it, as a tar in a file of this host, from where whoever asked for it reads it. As with a copy,
// one that runs stands still only while what has changed meanwhile is copied again.

import { rename, rm, stat } from 'node:fs/promises'
import { type Assignment, DroverError, type ExportTask } from '@drover/protocol'
import { startPrecopyArchive } from '../migration/tar-process.ts'
import type { AgentParts } from '../parts.ts'
import { treeToSend } from './copy-over.ts'
import type { Outcome } from './jobs.ts'
import type { Scope } from './scope.ts'

export async function exportDisk(
  parts: AgentParts,
  assignment: Assignment,
  { operation, snapshot, upload }: ExportTask,
  scope: Scope,
): Promise<Outcome> {
  const upper = parts.mirror.get(assignment.container)?.upper
  if (upper === undefined) throw new DroverError('WRONG_STATE', `export ${assignment.name}: it is not on ${parts.host}`)
  const startedAt = performance.now()
  const tree = await treeToSend(parts, assignment, scope, { upper, snapshot, operation })
  const draft = parts.uploads.draft(upload)
  scope.defer(() => rm(draft, { force: true }))
  const archive = startPrecopyArchive(scope, tree)
  await parts.uploads.fill(draft, archive.output())
  await archive.done()
  const { size } = await stat(draft)
  scope.signal.throwIfAborted()
  await rename(draft, parts.uploads.path(upload))
  return { sizeBytes: size, figures: { export_ms: performance.now() - startedAt } }
}

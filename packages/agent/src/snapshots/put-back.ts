// A container without processes put back to one of its snapshots: a copy of the snapshot's tree is made ready and exchanged for the disk by
// the engine, at once. With memory its processes are restored then, frozen: they run when the operation is committed, as after a move.

import { cp } from 'node:fs/promises'
import { type Assignment, DroverError, type SnapshotTask } from '@drover/protocol'
import { engineDeadlines } from '../engine-port.ts'
import { checkpointDirectory } from '../migration/checkpoint-directory.ts'
import { type AgentParts, callAndMirror } from '../parts.ts'
import { engineSpec } from '../steps/engine-spec.ts'
import { syncFileSystem } from '../sync-file-system.ts'
import { copyChanges, copyTree, discard } from './copy-tree.ts'
import type { Outcome } from './jobs.ts'
import { incomingDirectory, readFacts, type SnapshotFacts, snapshotPlace } from './layout.ts'
import type { Scope } from './scope.ts'

export async function putBack(
  parts: AgentParts,
  assignment: Assignment,
  task: SnapshotTask,
  scope: Scope,
): Promise<Outcome> {
  const { container, name, identity, spec } = assignment
  const upper = parts.mirror.get(container)?.upper
  const facts = upper === undefined ? null : readFacts(upper, task.name)
  if (upper === undefined || facts === null) {
    throw new DroverError(
      'SNAPSHOT_NOT_FOUND',
      `restore ${name}: host ${parts.host} has no snapshot ${task.name} of it`,
    )
  }
  const startedAt = performance.now()
  const incoming = incomingDirectory(upper)
  scope.defer(discard(incoming))
  const copy = await copyTree(scope, snapshotPlace(upper, task.name).disk, incoming, false)
  await copyChanges(scope, copy)
  await exchangeDisk(parts, assignment, incoming, spec.security?.privileged ? 0 : identity.uidBase)
  if (task.memory) await restoreMemory(parts, assignment, scope, snapshotPlace(upper, task.name).memory, facts)
  return { sizeBytes: facts.sizeBytes, figures: { restore_ms: performance.now() - startedAt } }
}

/** `directory` becomes its disk; it is on the platter before the old one goes. */
export async function exchangeDisk(
  parts: AgentParts,
  { container, epoch }: Assignment,
  directory: string,
  uidBase: number,
): Promise<void> {
  await syncFileSystem(directory)
  await callAndMirror(parts, 'replaceDisk', { container, epoch, directory, uidBase }, engineDeadlines.replaceDisk)
}

async function restoreMemory(
  parts: AgentParts,
  assignment: Assignment,
  scope: Scope,
  images: string,
  { startedAtMs, starts }: SnapshotFacts,
): Promise<void> {
  const { container, epoch } = assignment
  const { directory, remove } = checkpointDirectory(parts.checkpointRoot, `snapshot-${container}`, true)
  scope.defer(remove)
  await cp(images, directory, { recursive: true, preserveTimestamps: true })
  const spec = engineSpec(parts, assignment)
  await callAndMirror(parts, 'prepareRestore', { spec, startedAtMs, starts }, engineDeadlines.start)
  const params = { container, epoch, directory }
  const answer = await parts.engine.call('restore', params, { deadlineMs: engineDeadlines.restore })
  parts.mirror.answer(answer.container)
}

// Taking a snapshot. Everything goes into a directory that counts for nothing; its renaming, at the end, is the snapshot. So an agent or
// host that dies in between leaves no half of one. The container stands still (cgroup freezer) while what changed during the copying is
// copied again; with memory, while CRIU dumps too: disk and memory are of the same instant.

import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { type Assignment, DroverError, type SnapshotTask } from '@drover/protocol'
import { engineDeadlines } from '../engine-port.ts'
import { checkpointDirectory } from '../migration/checkpoint-directory.ts'
import { type AgentParts, callAndMirror } from '../parts.ts'
import { syncFileSystem, syncNames } from '../sync-file-system.ts'
import { copyChanges, copyTree, discard, sizeOf } from './copy-tree.ts'
import { runHook } from './hook.ts'
import type { Outcome } from './jobs.ts'
import { readFacts, type SnapshotFacts, snapshotPlace, snapshotsDirectory } from './layout.ts'
import type { Scope } from './scope.ts'

export async function takeSnapshot(
  parts: AgentParts,
  assignment: Assignment,
  task: SnapshotTask,
  scope: Scope,
): Promise<Outcome> {
  const engine = parts.mirror.get(assignment.container)
  if (!engine) throw new DroverError('WRONG_STATE', `snapshot of ${assignment.name}: it is not on ${parts.host}`)
  const { upper, startedAtMs, starts } = engine
  const done = readFacts(upper, task.name)
  if (done?.operation === task.operation) return { sizeBytes: done.sizeBytes, figures: done.figures }
  const draft = snapshotPlace(upper, `.${task.name}`)
  discard(draft.directory)()
  mkdirSync(snapshotsDirectory(upper), { recursive: true, mode: 0o700 })
  mkdirSync(draft.directory, { mode: 0o700 })
  scope.defer(discard(draft.directory))

  const { hook = null } = assignment.spec.snapshots ?? {}
  if (hook !== null && engine.state === 'running') await runHook(parts, assignment, hook, scope)
  const memory = task.memory ? draft.memory : null
  const { sizeBytes, figures } = await copyStandingStill(parts, assignment, scope, { to: draft.disk, memory })
  const { operation } = task
  const facts: SnapshotFacts = { operation, sizeBytes, memory: task.memory, startedAtMs, starts, figures }
  writeFileSync(draft.facts, JSON.stringify(facts))
  await syncFileSystem(draft.directory)
  const place = snapshotPlace(upper, task.name)
  scope.signal.throwIfAborted()
  // One of that name is of an operation that was given up.
  discard(place.directory)()
  renameSync(draft.directory, place.directory)
  await syncNames(snapshotsDirectory(upper))
  return { sizeBytes, figures }
}

/** Its disk as of one instant, into `to`; with `memory`, its processes of the same instant into that. */
export async function copyStandingStill(
  parts: AgentParts,
  { container, epoch, name }: Assignment,
  scope: Scope,
  { to, memory }: { to: string; memory: string | null },
): Promise<Outcome> {
  const engine = parts.mirror.get(container)
  if (!engine) throw new DroverError('WRONG_STATE', `copy the disk of ${name}: it is not on ${parts.host}`)
  const figures: Record<string, number> = {}
  const startedAt = performance.now()
  const runs = engine.state === 'running'
  const copy = await copyTree(scope, engine.upper, to, runs)
  figures.copy_ms = performance.now() - startedAt
  const still = async () => {
    const { after, delta } = await copyChanges(scope, copy)
    figures.changed_entries = delta.archive.length + delta.deletions.length + delta.sockets.length
    return { sizeBytes: sizeOf(after), figures }
  }
  if (!runs) {
    if (memory !== null) throw new DroverError('WRONG_STATE', `snapshot ${name} with memory: it doesn’t run`)
    return still()
  }
  return parts.snapshots.hold(container, async () => {
    const pausedAt = performance.now()
    const images = memory === null ? null : checkpointDirectory(parts.checkpointRoot, `snapshot-${container}`, false)
    if (images) scope.defer(images.remove)
    let outcome: Outcome
    let dumped: string | null = null
    try {
      if (images) await dump(parts, container, epoch, images.directory)
      else await callAndMirror(parts, 'freeze', { container, epoch }, engineDeadlines.quick)
      outcome = await still()
      // The engine forgets a checkpoint when it thaws: this one is kept.
      if (images) dumped = setAside(images.directory)
    } finally {
      await goOn(parts, container, epoch)
    }
    figures.paused_ms = performance.now() - pausedAt
    if (dumped !== null && memory !== null) await cp(dumped, memory, { recursive: true, preserveTimestamps: true })
    return outcome
  })
}

function setAside(directory: string): string {
  const kept = `${directory}-kept`
  renameSync(directory, kept)
  return kept
}

async function dump(parts: AgentParts, container: string, epoch: number, directory: string): Promise<void> {
  const params = { container, epoch, directory }
  const answer = await parts.engine.call('checkpoint', params, { deadlineMs: engineDeadlines.checkpoint })
  parts.mirror.answer(answer.container)
}

/** If this fails, reconciling does it: what is frozen and shall run is thawed. */
async function goOn(parts: AgentParts, container: string, epoch: number): Promise<void> {
  const state = parts.mirror.get(container)?.state
  if (state === 'running' || state === 'stopped') return
  await callAndMirror(parts, 'thaw', { container, epoch }, engineDeadlines.quick)
}

export const temporaryCopy = (upper: string, operation: string): string =>
  join(snapshotsDirectory(upper), `.copy-${operation}`)

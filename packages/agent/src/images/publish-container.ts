// A container, or a snapshot of it, becomes an image: its image's layer and its own writable layer, one upon the other, with the owners as
// they are inside and without what is of this one container (name, machine id). It runs on, and stands still only as for a snapshot.

import { mkdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Assignment, DroverError } from '@drover/protocol'
import { removePaths } from '../migration/apply-delta.ts'
import type { AgentParts } from '../parts.ts'
import { readFacts, snapshotPlace } from '../snapshots/layout.ts'
import { Scope } from '../snapshots/scope.ts'
import { copyStandingStill } from '../snapshots/take.ts'
import { applyLayer } from './apply-layer.ts'
import type { ImageRecord } from './image-store.ts'
import { publishDraft } from './import-image.ts'
import { runCommand } from './run-command.ts'
import { TarGuard } from './tar-guard.ts'

const packDeadlineMs = 3 * 60 * 60_000
/** Written anew by the engine at each first start, or meant for one machine only. */
const ofThisOne = ['etc/hostname', 'etc/machine-id', 'var/lib/dbus/machine-id', 'var/lib/drover/first-boot']

export async function publishContainer(
  parts: AgentParts,
  { container, snapshot }: { container: string; snapshot: string | null },
  name: string,
  progress: (message: string) => void,
  signal: AbortSignal,
): Promise<ImageRecord> {
  const assignment = parts.store.get(container)
  const upper = parts.mirror.get(container)?.upper
  if (assignment?.role !== 'owner' || upper === undefined)
    throw new DroverError('WRONG_STATE', `publish ${container.slice(0, 32)}: host ${parts.host} doesn’t own it`)
  const what = `${assignment.name}${snapshot === null ? '' : `/${snapshot}`}`
  const { images } = parts
  const staged = images.stage()
  const scope = new Scope()
  const end = () => void scope.close()
  signal.addEventListener('abort', end, { once: true })
  try {
    progress('copying its disk')
    const tree = await parts.snapshots.inTurn(() => treeOf(parts, assignment, scope, join(staged, 'tree'), snapshot))
    const archive = join(staged, 'tree.tar')
    await pack(tree, archive, signal)
    await rm(join(staged, 'tree'), { recursive: true, force: true })
    progress('joining its layers')
    const draft = join(staged, 'draft')
    mkdirSync(draft, { mode: 0o755 })
    const guard = new TarGuard(what)
    await applyLayer(images.layer(assignment.spec.image), draft, guard, what, { signal })
    // Files of a privileged container are the host's own.
    const shifted = process.getuid?.() === 0 && !assignment.spec.security?.privileged
    const idShift = shifted ? assignment.identity.uidBase : 0
    await applyLayer(archive, draft, guard, what, { whiteouts: 'overlay', idShift, signal })
    await rm(archive, { force: true })
    await removePaths(draft, ofThisOne)
    progress('packing')
    return await publishDraft({ images, staged, draft }, name, assignment.spec.init, guard.newestSeconds)
  } catch (thrown) {
    await images.discard(staged)
    throw thrown
  } finally {
    signal.removeEventListener('abort', end)
    await scope.close()
  }
}

async function treeOf(
  parts: AgentParts,
  assignment: Assignment,
  scope: Scope,
  to: string,
  snapshot: string | null,
): Promise<string> {
  const upper = parts.mirror.get(assignment.container)?.upper ?? ''
  if (snapshot === null) {
    await copyStandingStill(parts, assignment, scope, { to, memory: null })
    return to
  }
  if (readFacts(upper, snapshot)) return snapshotPlace(upper, snapshot).disk
  throw new DroverError('SNAPSHOT_NOT_FOUND', `publish snapshot ${snapshot} of ${assignment.name}: it is not here`)
}

/** With every attribute, since overlayfs keeps there what is opaque. */
async function pack(tree: string, archive: string, signal: AbortSignal): Promise<void> {
  const attributes = process.getuid?.() === 0 ? ['--xattrs', '--xattrs-include=*'] : []
  const options = ['--numeric-owner', '--format=posix', '--warning=no-file-ignored', ...attributes]
  await runCommand('tar', ['--create', '--file', archive, '--directory', tree, ...options, '.'], {
    deadlineMs: packDeadlineMs,
    signal,
  })
}

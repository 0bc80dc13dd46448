// What has changed in a tree since it was sent, from the source to the destination: the container stands still meanwhile. A tree is the
// writable layer, or a volume.

import type { MigrationFigures } from '@drover/protocol'
import type { TreeSum } from '../streams/messages.ts'
import type { StreamConnection } from '../streams/stream-connection.ts'
import { bytesOf } from './choose-patches.ts'
import { type DiskDelta, diskDelta, namesIn } from './disk-delta.ts'
import { type Manifest, pathBytes, scanManifest } from './disk-manifest.ts'
import type { FilesAhead } from './files-ahead.ts'
import type { Patch } from './likeness.ts'
import { sendPatch } from './send-unlike.ts'
import type { MigrationSession } from './session.ts'
import { startDeltaArchive, type TarProcess } from './tar-process.ts'
import { partsOf } from './text-parts.ts'
import type { TreeCheck } from './tree-check.ts'

/** What the pre-copy has sent of a tree. */
export interface SentTree {
  connection: StreamConnection
  root: string
  manifest: Manifest
  filesAhead: FilesAhead | null
  restless: ReadonlySet<string>
  /** Null: the destination can't tell. */
  tree: TreeCheck | null
  figures: MigrationFigures
}

export type Delta = DiskDelta & { names: Map<string, string[]>; patches: Patch[] }

export async function scanDelta(session: MigrationSession, sent: SentTree): Promise<Delta> {
  const { figures } = sent
  const scannedAt = performance.now()
  const after = await scanManifest(sent.root, session.signal)
  const whole = diskDelta(sent.manifest, after)
  figures.scan_ms = performance.now() - scannedAt
  const last = await sent.filesAhead?.last(after, whole.archive)
  const settled = last && last.settled.size > 0
  const delta = settled ? diskDelta(sent.manifest, after, last.settled) : whole
  const { archive, deletions, sockets } = delta
  const patches = last?.patches ?? []
  figures.delta_entries = archive.length + deletions.length + sockets.length + patches.length
  figures.compare_ms = performance.now() - scannedAt - figures.scan_ms
  figures.patch_bytes = bytesOf(patches)
  return { ...delta, patches, names: namesIn(sent.manifest, after, sent.restless) }
}

/** What the destination's tree must be afterwards. */
export async function sendDelta(session: MigrationSession, sent: SentTree, delta: Delta): Promise<TreeSum | null> {
  const { connection, root } = sent
  const archive = delta.archive.length > 0
  const sum = sent.tree && announceDelta(sent, sent.tree, delta)
  // It may fail while something is being sent, and is asked for only then.
  sum?.catch(() => {})
  for (const patch of delta.patches) await sendPatch({ session, connection, upper: root }, patch)
  await connection.sendMessage({ kind: 'delta', deletions: delta.deletions, sockets: delta.sockets, archive })
  if (!archive) return await sum
  const deltaArchive = startDeltaArchive(session, root)
  const names = delta.archive.map((path) => Buffer.concat([pathBytes('.', path), Buffer.from([0])]))
  const named = deltaArchive.write(Buffer.concat(names)).then(() => deltaArchive.endInput())
  const [, , tree] = await Promise.all([named, sendArchive(connection, deltaArchive), sum])
  return tree
}

/** What the destination has to look at again; what the tree is then. */
async function announceDelta(
  { connection, figures }: SentTree,
  tree: TreeCheck,
  { archive, deletions, sockets, names, patches }: Delta,
): Promise<TreeSum> {
  const paths = [...archive, ...deletions, ...sockets.map(({ path }) => path)]
  const there = [...paths, ...patches.map(({ path }) => path)]
  for (const [directory, all] of names) {
    for (const { part, last } of partsOf(all)) {
      void connection.sendMessage({ kind: 'names', directory, names: part, last }).catch(() => {})
    }
  }
  if (there.length > 0)
    for (const { part } of partsOf(there)) {
      void connection.sendMessage({ kind: 'changed', paths: part }).catch(() => {})
    }
  // The names were changed with their directories, which are among the paths; the engine has looked at what is patched.
  return await tree.after(paths, figures)
}

/** `sent`: after each piece. */
export async function sendArchive(connection: StreamConnection, archive: TarProcess, sent?: () => void): Promise<void> {
  for await (const chunk of archive.output()) {
    await connection.sendData(chunk)
    sent?.()
  }
  await archive.done()
  await connection.sendEnd()
}

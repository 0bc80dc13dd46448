// The source's side of larger files that the container changes while it moves, a database's: what differs of them goes ahead, piece by piece, in
// rounds, so that little is left when it stands still, and then again the pieces alone. What the destination has it says itself, after each
// round; nothing changes there but by what is sent, so that what it said last is still true after the freeze. Pieces only, by descriptors of the very
// files: an archive of names in a layer that changes could follow a link.

import type { StreamConnection } from '../streams/stream-connection.ts'
import {
  type AheadPatch,
  anotherRound,
  bytesOf,
  changedFiles,
  goesInPieces,
  lastPatch,
  patchesAhead,
} from './choose-patches.ts'
import { cleanPages } from './clean-pages.ts'
import { hasChanged } from './disk-delta.ts'
import { type Manifest, type ManifestEntry, scanManifest } from './disk-manifest.ts'
import type { Patch } from './likeness.ts'
import { receiveIndex, sendPatch } from './send-unlike.ts'
import type { MigrationSession } from './session.ts'
import { partsOf } from './text-parts.ts'
import type { TreeCheck } from './tree-check.ts'
import { type IndexEntry, parseTreeIndex, type TreeIndex } from './tree-index.ts'

interface Sending {
  session: MigrationSession
  connection: StreamConnection
  upper: string
  /** Of what was sent at first; what is made there since comes to it. */
  manifest: Manifest
  tree: TreeCheck
}

/** What this host's engine said of a file, and how the file was before it looked. */
interface Known {
  entry: IndexEntry
  seen: ManifestEntry
}

export interface LastPatches {
  patches: Patch[]
  /** All that need not be in the archive; what isn't among the patches is there as it is here. */
  settled: Set<string>
}

export class FilesAhead {
  readonly #sending: Sending
  readonly #there = new Map<string, IndexEntry>()
  readonly #here = new Map<string, Known>()
  #seen: Manifest
  #sentBytes = 0

  constructor(sending: Sending) {
    this.#sending = sending
    this.#seen = sending.manifest
  }

  /** May be called again later, for what has changed since. Ends with a comparison, or when nothing has changed: then false. */
  async send(): Promise<boolean> {
    const { session, connection, upper, manifest } = this.#sending
    const rounds: number[] = []
    let sent = new Set<string>()
    for (;;) {
      const now = await scanManifest(upper, session.signal)
      const paths = changedFiles(manifest, this.#seen, now, sent)
      if (paths.length === 0) return rounds.length > 0
      const [here, there] = await this.#compare(paths, now)
      this.#seen = now
      const patches = patchesAhead(paths, now, here, there)
      rounds.push(bytesOf(patches))
      if (!anotherRound(rounds)) return true
      for (const patch of patches) await this.#sendAhead(patch, now)
      sent = new Set(patches.map(({ path }) => path))
      this.#sentBytes += rounds.at(-1) ?? 0
      Object.assign(session.figures, {
        disk_rounds: (session.figures.disk_rounds ?? 0) + 1,
        disk_ahead_bytes: this.#sentBytes,
        sent_bytes: connection.bytesSent,
      })
    }
  }

  /** Of the container that stands still, what has changed since the beginning. */
  async last(after: Manifest, changed: readonly string[]): Promise<LastPatches> {
    const last: LastPatches = { patches: [], settled: new Set() }
    const again = changed.filter((path) => this.#there.has(path) && !this.#isAsSeen(path, after))
    const { session, tree } = this.#sending
    const here = (again.length > 0 ? parseTreeIndex(await tree.details(session, again)) : null) ?? new Map()
    for (const path of changed) {
      const there = this.#there.get(path)
      const entry = after.get(path)
      const known = here.get(path) ?? (this.#isAsSeen(path, after) ? this.#here.get(path)?.entry : undefined)
      if (!there || !known || !entry || !goesInPieces(entry)) continue
      const patch = lastPatch(path, entry, known, there)
      if (patch === null) continue
      last.settled.add(path)
      if (patch !== 'same') last.patches.push(patch)
    }
    return last
  }

  /** Whether its engine need not look at it again. */
  #isAsSeen(path: string, after: Manifest): boolean {
    const known = this.#here.get(path)
    const entry = after.get(path)
    return known !== undefined && entry !== undefined && !hasChanged(known.seen, entry)
  }

  /** What this host says of them is true only of those that aren't changed before the freeze. */
  async #compare(paths: string[], now: Manifest): Promise<[TreeIndex, TreeIndex]> {
    const { session, tree, upper } = this.#sending
    // A page of a mapping that was dirty already could be written again unseen.
    await cleanPages(upper, new Map(paths.map((path) => [path, now.get(path) as ManifestEntry])), session.signal)
    const [data, there] = await Promise.all([tree.details(session, paths), this.#askThere(paths)])
    const here = parseTreeIndex(data) ?? new Map()
    for (const path of paths) {
      this.#here.delete(path)
      this.#there.delete(path)
      const [known, other, seen] = [here.get(path), there.get(path), now.get(path)]
      if (known && seen) this.#here.set(path, { entry: known, seen })
      if (other) this.#there.set(path, other)
    }
    return [here, there]
  }

  async #askThere(paths: string[]): Promise<TreeIndex> {
    const { connection } = this.#sending
    const there: TreeIndex = new Map()
    for (const { part } of partsOf(paths)) {
      await connection.sendMessage({ kind: 'compare', paths: part })
      for (const [path, entry] of (await receiveIndex(connection)) ?? []) there.set(path, entry)
    }
    return there
  }

  async #sendAhead(patch: AheadPatch, now: Manifest): Promise<void> {
    const { session, connection, upper, manifest } = this.#sending
    session.signal.throwIfAborted()
    this.#there.delete(patch.path)
    // Whatever becomes of it, it is looked at again at the end, and removed there should it be gone.
    const entry = now.get(patch.path)
    if (patch.create && entry && !manifest.has(patch.path)) manifest.set(patch.path, { ...entry, racy: true })
    await sendPatch({ session, connection, upper }, patch, {
      ahead: true,
      ...(patch.create ? { create: patch.create } : {}),
    })
  }
}

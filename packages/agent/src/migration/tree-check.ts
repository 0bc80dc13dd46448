// Whether the layer that arrived is the one that was sent: each side has its engine make one number of its own tree (native/engine/src/tree_hash.h), all
// of it while the container still runs, in the blackout again only for what the last delta names. They are compared before anything is
// restored.

import type { EngineMethods } from '@drover/engine'
import { DroverError, type MigrationFigures } from '@drover/protocol'
import { engineDeadlines } from '../engine-port.ts'
import type { AgentParts } from '../parts.ts'
import type { TreeSum } from '../streams/messages.ts'
import { indexPath, readIndexBytes } from './index-file.ts'
import type { MigrationSession } from './session.ts'

/** A call should not keep others of the container waiting for long. */
const bytesPerCall = 64 << 20
const pathsPerCall = 4_000

interface Checked {
  container: string
  epoch: number
  directory?: string
}
/** Files that the engine reads or writes at the beginning. */
export interface TreeFiles {
  /** A volume of the container, instead of its layer. */
  directory?: string
  /** Where it shall write what it knows. */
  index?: string
  /** Where it shall write a small layer as it is. */
  pack?: string
  /** Of what the layer is to be made first. */
  unpack?: string
}
type TreeFilesDone = Pick<EngineMethods['hashTree']['result'], 'packed' | 'synced'>

export interface FileTime {
  path: string
  seconds: number
  nanoseconds: number
}
type Asked = Checked & TreeFiles & { details?: string; times?: FileTime[] }

export class TreeCheck {
  readonly #parts: AgentParts
  readonly #of: Checked
  #sum: TreeSum
  /** Whether all of the layer is in the file that was asked for. */
  readonly packed: boolean
  /** Whether what was unpacked is on the disk. */
  readonly synced: boolean

  private constructor(parts: AgentParts, of: Checked, sum: TreeSum, { packed = false, synced = false }: TreeFilesDone) {
    this.packed = packed
    this.synced = synced
    this.#parts = parts
    this.#of = of
    this.#sum = sum
  }

  /** Looks at and reads all of the tree; what was read in the same session isn't read again. */
  static async begin(
    parts: AgentParts,
    session: MigrationSession,
    { container, epoch }: Checked,
    files: TreeFiles = {},
  ): Promise<TreeCheck> {
    const { index, directory } = files
    const checked = { container, epoch, ...(directory === undefined ? {} : { directory }) }
    const of = { ...checked, ...files }
    const later = { ...checked, ...(index === undefined ? {} : { index }) }
    const startedAt = performance.now()
    session.defer(
      () =>
        parts.engine
          .call('hashTree', { ...checked, changed: null, mostBytes: 0 }, { deadlineMs: engineDeadlines.quick })
          .catch(() => {}),
      { ofContainer: true },
    )
    let answer = await ask(parts, of, null)
    const done = answer
    while (answer.hash === null) {
      session.signal.throwIfAborted()
      answer = await ask(parts, later, [])
    }
    session.figures.tree_ms = (session.figures.tree_ms ?? 0) + performance.now() - startedAt
    const { hash, entries, bytes } = answer
    return new TreeCheck(parts, checked, { hash, entries, bytes }, done)
  }

  /** Of these paths, which may have changed, what the engine knows now. */
  async details(session: MigrationSession, paths: readonly string[]): Promise<Buffer> {
    const details = indexPath(this.#parts, session)
    const of = { ...this.#of, details }
    let answer = await ask(this.#parts, of, [...paths])
    while (answer.hash === null) {
      session.signal.throwIfAborted()
      answer = await ask(this.#parts, of, [])
    }
    const { hash, entries, bytes } = answer
    this.#sum = { hash, entries, bytes }
    return readIndexBytes(details)
  }

  /** After these paths changed, and these files were given such times. */
  async after(paths: readonly string[], figures: MigrationFigures, times: FileTime[] = []): Promise<TreeSum> {
    const startedAt = performance.now()
    for (let from = 0; from < paths.length; from += pathsPerCall) {
      const set = from === 0 && times.length > 0 ? { times } : {}
      let answer = await ask(this.#parts, { ...this.#of, ...set }, paths.slice(from, from + pathsPerCall))
      while (answer.hash === null) answer = await ask(this.#parts, this.#of, [])
      const { hash, entries, bytes } = answer
      this.#sum = { hash, entries, bytes }
    }
    figures.tree_delta_ms = performance.now() - startedAt
    return this.#sum
  }
}

/** Throws DISK_DIFFERS unless both are the same. `what`: `move web: the disk`. */
export function requireSameTree(what: string, sent: TreeSum, here: TreeSum): void {
  if (sent.hash === here.hash) return
  const told = ({ entries, bytes, hash }: TreeSum) => `${entries} entries, ${bytes} bytes in files, hash ${hash}`
  throw new DroverError(
    'DISK_DIFFERS',
    `${what} that arrived is not the one that was sent: there ${told(sent)}; here ${told(here)}`,
  )
}

const ask = (parts: AgentParts, of: Asked, changed: string[] | null) =>
  parts.engine.call('hashTree', { ...of, changed, mostBytes: bytesPerCall }, { deadlineMs: engineDeadlines.checkpoint })

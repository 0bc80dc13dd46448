// Memory that goes ahead while the container runs: the source has the engine copy it in rounds and sends each part; the destination lays
// the pages into the parent images of the dump that follows; convergence.ts says when it is enough. Only an improvement: when it can't be
// had, the dump holds everything, and only a budget for the blackout makes that a reason to refuse.

import {
  chmodSync,
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { DroverError } from '@drover/protocol'
import { engineDeadlines } from '../engine-port.ts'
import type { AgentParts } from '../parts.ts'
import { type MemoryFile, StreamFrameType } from '../streams/messages.ts'
import type { StreamConnection } from '../streams/stream-connection.ts'
import { type MovePlan, requireBudget, tell } from './blackout-budget.ts'
import { removeTree } from './checkpoint-directory.ts'
import { estimateBlackout, type Round, verdictOf } from './convergence.ts'
import { listFiles, sendFilesAs } from './memory-files.ts'
import type { MigrationSession } from './session.ts'

export const parentDirectory = 'parent'

const partBytes = 8 << 20

interface Ahead {
  container: string
  epoch: number
  /** Beside the directory of the checkpoint. */
  directory: string
}

/** The source's side. */
export class MemoryAhead {
  readonly #parts: AgentParts
  readonly #session: MigrationSession
  readonly #connection: StreamConnection
  readonly #ahead: Ahead
  readonly #rounds: Round[] = []
  readonly #startedAt = performance.now()
  #begun = false
  /** The engine has forgotten what it tracked, or nothing is worth it: the dump will hold all there is. */
  #over = false

  constructor(parts: AgentParts, session: MigrationSession, connection: StreamConnection, ahead: Ahead) {
    this.#parts = parts
    this.#session = session
    this.#connection = connection
    this.#ahead = ahead
  }

  /** Sends memory until it is no longer worth it. Throws BLACKOUT_TOO_LONG when a budget can't be kept. */
  async send(plan: MovePlan): Promise<void> {
    const wishes = { ...plan, alwaysBytes: 0 }
    for (;;) {
      if (!(await this.again())) return requireBudget(this.#session, plan)
      const estimate = estimateBlackout(this.#rounds, wishes)
      const verdict = verdictOf(this.#rounds, estimate, wishes)
      if (verdict === 'too-long') requireBudget(this.#session, plan, estimate)
      tell(this.#session, estimate)
      if (verdict !== 'another') return
    }
  }

  /** A round: sends what was written since the one before. False: there is nothing of it any more. */
  async again(): Promise<boolean> {
    const roundAt = performance.now()
    const heldBefore = this.#connection.heldBackMs
    let bytes = 0
    for (let leftBytes = 1; leftBytes > 0; ) {
      const part = await this.#copy()
      if (part === null) return false
      if (part.file !== null) await sendPart(this.#connection, join(this.#ahead.directory, part.file))
      bytes += part.bytes
      leftBytes = part.leftBytes
      tell(this.#session, { sent_bytes: this.#connection.bytesSent, ahead_left_bytes: leftBytes })
    }
    const ms = performance.now() - roundAt
    const rounds = this.#rounds
    rounds.push({ bytes, ms, workMs: Math.max(1, ms - (this.#connection.heldBackMs - heldBefore)) })
    Object.assign(this.#session.figures, {
      ahead_rounds: rounds.length,
      ahead_bytes: rounds.reduce((total, round) => total + round.bytes, 0),
      ahead_last_round_bytes: bytes,
      ahead_ms: performance.now() - this.#startedAt,
    })
    return true
  }

  /**
   * Right before the freeze, a round that waits to be sent: what the container wrote while its disk was looked at once more and its freeze was decided.
   * The function that is returned sends it, and may do so while the container is being frozen and dumped; it has to have done before the dump is sent.
   */
  async takeLast(): Promise<() => Promise<void>> {
    const files: string[] = []
    let bytes = 0
    for (let leftBytes = 1; leftBytes > 0; ) {
      const part = await this.#copy()
      if (part === null) break
      if (part.file !== null) files.push(join(this.#ahead.directory, part.file))
      bytes += part.bytes
      leftBytes = part.leftBytes
    }
    this.#session.figures.ahead_last_bytes = bytes
    return async () => {
      for (const file of files) await sendPart(this.#connection, file)
    }
  }

  async #copy(): Promise<{ file: string | null; bytes: number; leftBytes: number } | null> {
    if (this.#over) return null
    const call = (mostBytes: number) =>
      this.#parts.engine.call('copyMemory', { ...this.#ahead, mostBytes }, { deadlineMs: engineDeadlines.checkpoint })
    const part = await call(partBytes).catch(() => null)
    // A move that ended while the engine was at it has nobody else to forget it.
    if (!this.#begun && part !== null)
      this.#session.defer(() => forget(this.#parts, call, this.#ahead), { ofContainer: true })
    this.#session.signal.throwIfAborted()
    this.#over = !part?.tracked
    if (!part?.tracked) return null
    if (!this.#begun) await sendParent(this.#connection, this.#ahead.directory)
    this.#begun = true
    return part
  }
}

/** The engine makes the directory, perhaps after the session has removed what is around it. */
async function forget(
  parts: AgentParts,
  copy: (mostBytes: number) => Promise<unknown>,
  { container, directory }: Ahead,
): Promise<void> {
  await copy(0).catch((thrown) => {
    parts.log.warn({ container, error: DroverError.from(thrown).message }, 'forget the memory that went ahead')
  })
  removeTree(dirname(directory))
}

async function sendParent(connection: StreamConnection, directory: string): Promise<void> {
  const all = listFiles(directory).filter(({ name }) => !name.startsWith('part-'))
  const isSparse = ({ name }: MemoryFile) => name.startsWith('pages-')
  const files = all.filter((file) => !isSparse(file))
  await sendFilesAs(connection, directory, files, { kind: 'parent', files, sparse: all.filter(isSparse) })
}

async function sendPart(connection: StreamConnection, path: string): Promise<void> {
  const data = readFileSync(path)
  rmSync(path)
  let room = connection.sendMessage({ kind: 'pages', sizeBytes: data.length })
  for (let at = 0; at < data.length; ) {
    const end = at + connection.frameBytes
    await room
    room = connection.send(StreamFrameType.data, data.subarray(at, end))
    at = end
  }
  await room
}

/** A run of pages in a part: u32 image, u32 pages, u64 offset. */
const runBytes = 16
const pageBytes = 4096
const sparsePattern = /^pages-(\d{1,6})\.img$/

/** The destination's parent images. */
export class ParentImages {
  readonly directory: string
  readonly #pages = new Map<number, { fd: number; sizeBytes: number }>()
  #part: Buffer | null = null
  #filled = 0
  #laid = 0

  /** Makes them in `images`, by the name that CRIU looks for. Not beside it: its tasks, in a user namespace, could not get there. */
  constructor(images: string, sparse: MemoryFile[]) {
    this.directory = join(images, parentDirectory)
    mkdirSync(this.directory)
    // Whatever the umask is.
    chmodSync(this.directory, 0o755)
    for (const { name, sizeBytes } of sparse) {
      const number = sparsePattern.exec(name)?.[1]
      if (number === undefined) throw refused(`${JSON.stringify(name.slice(0, 80))} is no file of pages`)
      const fd = openSync(join(this.directory, name), 'wx', 0o644)
      this.#pages.set(Number(number), { fd, sizeBytes })
      ftruncateSync(fd, sizeBytes)
    }
  }

  /** Whether the next data frames belong to a part. */
  get open(): boolean {
    return this.#part !== null
  }

  begin(sizeBytes: number): void {
    this.#part = Buffer.allocUnsafe(sizeBytes)
    this.#filled = 0
  }

  /** With the last of a part: which one has been laid, and how much is in it. */
  write(data: Buffer): { part: number; bytes: number } | null {
    const part = this.#part
    if (part === null || data.length > part.length - this.#filled) throw refused('more data than it says')
    data.copy(part, this.#filled)
    this.#filled += data.length
    if (this.#filled < part.length) return null
    this.#part = null
    return { part: ++this.#laid, bytes: this.#lay(part, this.#laid) }
  }

  close(): void {
    for (const { fd } of this.#pages.values()) closeSync(fd)
    this.#pages.clear()
  }

  #lay(part: Buffer, number: number): number {
    const count = part.readUInt32LE(0)
    const head = 4 + count * runBytes
    let from = head
    if (from > part.length) throw refused(`it has no room for ${count} runs`)
    // First: it tells the engine that there is more than it has been told of.
    writeFileSync(join(this.directory, `laid-${number}`), part.subarray(0, head))
    for (let at = 4; at < head; at += runBytes) {
      const image = part.readUInt32LE(at)
      const length = part.readUInt32LE(at + 4) * pageBytes
      const offset = Number(part.readBigUInt64LE(at + 8)) * pageBytes
      const pages = this.#pages.get(image)
      if (!pages || offset + length > pages.sizeBytes || from + length > part.length) {
        throw refused(`${length} bytes at ${offset} do not lie in image ${image}`)
      }
      for (let done = 0; done < length; ) {
        done += writeSync(pages.fd, part, from + done, length - done, offset + done)
      }
      from += length
    }
    return from - head
  }
}

const refused = (what: string) => new DroverError('BAD_REQUEST', `memory sent ahead: ${what}`)

// Memory that goes ahead while the container runs: the source has the engine copy it in rounds and sends each part; the destination lays
// the pages into the parent images of the dump that follows. It is worth a round as long as rounds become smaller: what is written
// faster than it is sent has to wait for the freeze. Only an improvement: when it can't be had, the dump holds everything.

import { chmodSync, closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { DroverError } from '@drover/protocol'
import { engineDeadlines } from '../engine-port.ts'
import type { AgentParts } from '../parts.ts'
import { type MemoryFile, maxPayloadBytes, StreamFrameType } from '../streams/messages.ts'
import type { StreamConnection } from '../streams/stream-connection.ts'
import { listFiles, sendFilesAs } from './memory-files.ts'
import type { MigrationSession } from './session.ts'

export const parentDirectory = 'parent'

const partBytes = 8 << 20
const mostRounds = 8
/** Sent within a few milliseconds even after the freeze: not worth another round. */
const fewBytes = 1 << 20
/** A round that is not smaller than this share of the one before shows that the container writes as fast as it is copied. */
const shrinking = 0.7

interface Ahead {
  container: string
  epoch: number
  /** Beside the directory of the checkpoint. */
  directory: string
}

/** Sends memory ahead until it is no longer worth it. */
export async function sendMemoryAhead(
  parts: AgentParts,
  session: MigrationSession,
  connection: StreamConnection,
  ahead: Ahead,
): Promise<void> {
  const copy = (mostBytes: number) =>
    parts.engine.call('copyMemory', { ...ahead, mostBytes }, { deadlineMs: engineDeadlines.checkpoint })
  const startedAt = performance.now()
  let begun = false
  let round = { number: 0, bytes: 0 }
  let previous: number | null = null
  let total = 0
  for (;;) {
    const part = await copy(partBytes).catch(() => null)
    session.signal.throwIfAborted()
    // The engine has forgotten what it tracked.
    if (part === null) return
    if (!begun) session.defer(() => copy(0).catch(() => {}))
    if (!part.tracked) return
    if (!begun) await sendParent(connection, ahead.directory)
    begun = true
    if (part.file !== null) await sendPart(connection, join(ahead.directory, part.file))
    if (part.round !== round.number) round = { number: part.round, bytes: 0 }
    round.bytes += part.bytes
    total += part.bytes
    if (part.leftBytes > 0) continue
    Object.assign(session.figures, {
      ahead_rounds: round.number,
      ahead_bytes: total,
      ahead_last_round_bytes: round.bytes,
      ahead_ms: performance.now() - startedAt,
    })
    if (round.bytes <= fewBytes || round.number >= mostRounds || !stillShrinks(round.bytes)) return
  }

  function stillShrinks(bytes: number): boolean {
    const before = previous
    previous = bytes
    return before === null || bytes < before * shrinking
  }
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
  for (let at = 0; at < data.length; at += maxPayloadBytes) {
    await room
    room = connection.send(StreamFrameType.data, data.subarray(at, at + maxPayloadBytes))
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

  write(data: Buffer): void {
    const part = this.#part
    if (part === null || data.length > part.length - this.#filled) throw refused('more data than it says')
    data.copy(part, this.#filled)
    this.#filled += data.length
    if (this.#filled < part.length) return
    this.#part = null
    this.#lay(part)
  }

  close(): void {
    for (const { fd } of this.#pages.values()) closeSync(fd)
    this.#pages.clear()
  }

  #lay(part: Buffer): void {
    const count = part.readUInt32LE(0)
    let from = 4 + count * runBytes
    if (from > part.length) throw refused(`it has no room for ${count} runs`)
    for (let at = 4; at < 4 + count * runBytes; at += runBytes) {
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
  }
}

const refused = (what: string) => new DroverError('BAD_REQUEST', `memory sent ahead: ${what}`)

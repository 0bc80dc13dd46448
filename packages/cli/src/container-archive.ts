// The archive of a container: a plain tar of drover.json (what it is), image.tar (its image's layer), disk.tar (its writable layer) and
// SHA256SUMS, in this order, so that it can be written and read as a stream. Any tar takes it apart.

import { createHash, type Hash } from 'node:crypto'
import type { LaunchRequest } from '@drover/protocol'
import { DroverError } from '@drover/protocol/plain'
import type { ArchiveSink } from './archive-sink.ts'

export const archiveFormat = 1
export const memberNames = { facts: 'drover.json', image: 'image.tar', disk: 'disk.tar', sums: 'SHA256SUMS' } as const
/** Of what is read whole. */
const maxTextBytes = 16 << 20
const block = 512

export interface ArchiveFacts {
  format: typeof archiveFormat
  /** As it was called. */
  name: string
  snapshot: string | null
  exportedAtMs: number
  /** First id of the owners of the files of its disk; 0: they are as inside. */
  uidBase: number
  image: { name: string; digest: string; init: string[] }
  /** What a launch would say to have its like. */
  container: LaunchRequest
}

export class ArchiveWriter {
  readonly #sink: ArchiveSink
  readonly #sums: string[] = []

  constructor(sink: ArchiveSink) {
    this.#sink = sink
  }

  async text(name: string, text: string): Promise<void> {
    const bytes = Buffer.from(text)
    await this.member(name, bytes.length, [bytes])
  }

  /** Exactly so many bytes. */
  async member(
    name: string,
    sizeBytes: number,
    content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): Promise<string> {
    await this.#sink.write(header(name, sizeBytes))
    const hash = createHash('sha256')
    let written = 0
    for await (const chunk of content) {
      hash.update(chunk)
      written += chunk.length
      await this.#sink.write(chunk)
    }
    if (written !== sizeBytes)
      throw new DroverError('TRANSFER_FAILED', `write ${name}: ${written} bytes came, not ${sizeBytes}`)
    await this.#sink.write(Buffer.alloc(padding(sizeBytes)))
    const sum = hash.digest('hex')
    this.#sums.push(`${sum}  ${name}\n`)
    return sum
  }

  async end(): Promise<void> {
    await this.text(memberNames.sums, this.#sums.join(''))
    await this.#sink.write(Buffer.alloc(2 * block))
  }
}

export interface Member {
  name: string
  sizeBytes: number
  /** To be read to its end before the next member is asked for. */
  content: AsyncIterable<Buffer>
}

export class ArchiveReader {
  readonly #chunks: AsyncIterator<Uint8Array>
  #held: Buffer = Buffer.alloc(0)
  readonly sums = new Map<string, string>()

  constructor(content: AsyncIterable<Uint8Array>) {
    this.#chunks = content[Symbol.asyncIterator]()
  }

  /** Refuses any other than the one that is due. */
  async member(due: string): Promise<Member> {
    const head = await this.#take(block, 'the header of a member')
    const name = head.toString('latin1', 0, 100).replace(/\0.*$/s, '')
    if (head.toString('latin1', 257, 262) !== 'ustar' || name !== due)
      throw notOurs(`${JSON.stringify(name.slice(0, 60))} came where ${due} was due`)
    const sizeBytes = sizeOf(head)
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0) throw notOurs(`the size of ${due} is no number`)
    return { name, sizeBytes, content: this.#content(name, sizeBytes) }
  }

  async text(due: string): Promise<string> {
    const { sizeBytes, content } = await this.member(due)
    if (sizeBytes > maxTextBytes) throw notOurs(`${due} has ${sizeBytes} bytes, the limit is ${maxTextBytes}`)
    const parts: Buffer[] = []
    for await (const part of content) parts.push(part)
    return Buffer.concat(parts).toString()
  }

  /** The last member; throws unless all that was read is what it says. */
  async verify(): Promise<void> {
    const read = new Map(this.sums)
    const listed = (await this.text(memberNames.sums)).split('\n').filter(Boolean)
    for (const [name, sum] of read) {
      if (!listed.includes(`${sum}  ${name}`))
        throw new DroverError('TRANSFER_FAILED', `read the archive: ${name} is damaged, its SHA-256 is ${sum}`)
    }
  }

  async *#content(name: string, sizeBytes: number): AsyncGenerator<Buffer> {
    const hash: Hash = createHash('sha256')
    for (let left = sizeBytes; left > 0; ) {
      if (this.#held.length === 0) await this.#more(name)
      const part = this.#held.subarray(0, left)
      this.#held = this.#held.subarray(part.length)
      left -= part.length
      hash.update(part)
      yield part
    }
    await this.#take(padding(sizeBytes), name)
    this.sums.set(name, hash.digest('hex'))
  }

  async #take(bytes: number, what: string): Promise<Buffer> {
    while (this.#held.length < bytes) await this.#more(what)
    const taken = this.#held.subarray(0, bytes)
    this.#held = this.#held.subarray(bytes)
    return taken
  }

  async #more(what: string): Promise<void> {
    const { done, value } = await this.#chunks.next()
    if (done) throw notOurs(`it ends in the middle of ${what}`)
    this.#held = this.#held.length === 0 ? Buffer.from(value) : Buffer.concat([this.#held, value])
  }
}

export function parseFacts(text: string): ArchiveFacts {
  let facts: ArchiveFacts
  try {
    facts = JSON.parse(text) as ArchiveFacts
  } catch {
    throw notOurs(`${memberNames.facts} is not JSON`)
  }
  if (facts.format !== archiveFormat)
    throw notOurs(`its format is ${facts.format}, this version reads ${archiveFormat}`)
  const whole =
    typeof facts.name === 'string' &&
    Number.isInteger(facts.uidBase) &&
    typeof facts.image?.digest === 'string' &&
    typeof facts.container === 'object'
  if (!whole) throw notOurs(`${memberNames.facts} lacks what a container is made of`)
  return facts
}

const notOurs = (why: string): DroverError =>
  new DroverError('BAD_REQUEST', `read the archive: it is no export of a container: ${why}`)

const padding = (sizeBytes: number): number => (block - (sizeBytes % block)) % block

/** POSIX ustar; sizes beyond eight gibibytes in GNU's base-256. */
function header(name: string, sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(block)
  const octal = (at: number, length: number, value: number) =>
    bytes.write(value.toString(8).padStart(length - 1, '0'), at, 'latin1')
  bytes.write(name, 0, 'latin1')
  octal(100, 8, 0o600)
  octal(108, 8, 0)
  octal(116, 8, 0)
  if (sizeBytes < 8 ** 11) octal(124, 12, sizeBytes)
  else {
    bytes.writeBigUInt64BE(BigInt(sizeBytes), 128)
    bytes[124] = 0x80
  }
  octal(136, 12, 0)
  bytes.write('0', 156, 'latin1')
  bytes.write('ustar\x0000', 257, 'latin1')
  bytes.fill(0x20, 148, 156)
  const sum = bytes.reduce((total, byte) => total + byte, 0)
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return bytes
}

function sizeOf(head: Buffer): number {
  if (head[124] === 0x80) return Number(head.readBigUInt64BE(128))
  const text = head.toString('latin1', 124, 136).replace(/[\0 ]+$/, '')
  return /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : Number.NaN
}

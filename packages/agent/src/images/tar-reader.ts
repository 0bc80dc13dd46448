// The entries of a tar archive that came from anywhere, read in order from a file: ustar, GNU long names and big numbers, pax records.
// It checks form only (checksums, numbers, bounds); what an entry may do is the business of tar-guard.ts. Names are kept byte by byte
// (latin1), since a file name need not be UTF-8.

import type { FileHandle } from 'node:fs/promises'
import { DroverError } from '@drover/protocol'

export interface TarEntry {
  path: string
  type: 'file' | 'hardlink' | 'symlink' | 'character' | 'block' | 'directory' | 'fifo'
  mode: number
  uid: number
  gid: number
  sizeBytes: number
  mtimeSeconds: number
  linkPath: string
  deviceMajor: number
  deviceMinor: number
  /** Extended attributes by name, as the pax records SCHILY.xattr.* have them. */
  attributes: Map<string, Buffer>
  /** Where its content begins in the archive. */
  offset: number
}

const block = 512
const windowBytes = 1 << 20
/** Of long names and pax records of one entry. */
const maxMetadataBytes = 1 << 20
const types: Record<string, TarEntry['type']> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'character',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
}

export const badArchive = (what: string, why: string): DroverError =>
  new DroverError('BAD_REQUEST', `read ${what}: ${why}`)

export async function* readTar(file: FileHandle, what: string): AsyncGenerator<TarEntry> {
  const bytes = new Window(file)
  let position = 0
  let local = new Map<string, Buffer>()
  let global = new Map<string, Buffer>()
  for (;;) {
    const header = await bytes.at(position, block)
    // Two blocks of zeros end it; many writers are content with the end of the file.
    if (header.length < block || header.every((byte) => byte === 0)) {
      if (header.length > 0 && header.length < block) throw badArchive(what, 'it ends in the middle of a header')
      return
    }
    checkSum(header, what, position)
    const type = String.fromCharCode(header[156] as number)
    const stated = number(header, 124, 12, what)
    const content = position + block
    if (type === 'x' || type === 'g' || type === 'L' || type === 'K') {
      if (stated > maxMetadataBytes) throw badArchive(what, `metadata of ${stated} bytes; at most ${maxMetadataBytes}`)
      const payload = Buffer.from(await bytes.at(content, stated))
      if (payload.length < stated) throw badArchive(what, 'it ends in the middle of an entry')
      if (type === 'L') local.set('path', text(payload))
      else if (type === 'K') local.set('linkpath', text(payload))
      else if (type === 'x') local = new Map([...local, ...paxRecords(payload, what)])
      else global = new Map([...global, ...paxRecords(payload, what)])
      position = content + padded(stated)
      continue
    }
    const entry = toEntry(header, content, new Map([...global, ...local]), what)
    local = new Map()
    if (entry !== null) yield entry
    position = content + padded(entry?.type === 'file' ? entry.sizeBytes : stated)
  }
}

function toEntry(header: Buffer, offset: number, pax: Map<string, Buffer>, what: string): TarEntry | null {
  const letter = String.fromCharCode(header[156] as number)
  const ustar = header.toString('latin1', 257, 262) === 'ustar'
  const prefix = ustar && header[262] === 0 ? cString(header, 345, 155) : ''
  const named = cString(header, 0, 100)
  const path = pax.get('path')?.toString('latin1') ?? (prefix === '' ? named : `${prefix}/${named}`)
  for (const key of pax.keys()) {
    if (key.startsWith('GNU.sparse.')) throw badArchive(what, `${path}: a sparse file; pack it without --sparse`)
  }
  const type = types[letter]
  if (type === undefined) {
    const name =
      letter === 'S' ? 'a sparse file; pack it without --sparse' : `an entry of type ${JSON.stringify(letter)}`
    throw badArchive(what, `${path}: ${name}`)
  }
  const figure = (key: string, at: number, length: number) => {
    const given = pax.get(key)?.toString('latin1')
    if (given === undefined) return number(header, at, length, what)
    if (!/^\d{1,19}(\.\d*)?$/.test(given)) throw badArchive(what, `${path}: ${key} is ${JSON.stringify(given)}`)
    return Number(given.split('.')[0])
  }
  const attributes = new Map<string, Buffer>()
  for (const [key, value] of pax) {
    if (key.startsWith('SCHILY.xattr.')) attributes.set(key.slice('SCHILY.xattr.'.length), value)
  }
  const time = pax.get('mtime')?.toString('latin1')
  return {
    path,
    // A directory of the oldest format: a file whose name ends in a slash.
    type: type === 'file' && path.endsWith('/') ? 'directory' : type,
    mode: number(header, 100, 8, what) & 0o7777,
    uid: figure('uid', 108, 8),
    gid: figure('gid', 116, 8),
    sizeBytes: type === 'file' ? figure('size', 124, 12) : 0,
    mtimeSeconds: time === undefined ? number(header, 136, 12, what) : Math.trunc(Number(time)) || 0,
    linkPath: pax.get('linkpath')?.toString('latin1') ?? cString(header, 157, 100),
    deviceMajor: number(header, 329, 8, what),
    deviceMinor: number(header, 337, 8, what),
    attributes,
    offset,
  }
}

/** `<length> <key>=<value>\n`, the length counting the whole record. */
function paxRecords(payload: Buffer, what: string): Map<string, Buffer> {
  const records = new Map<string, Buffer>()
  let at = 0
  while (at < payload.length && payload[at] !== 0) {
    const space = payload.indexOf(0x20, at)
    const length = space < 0 ? Number.NaN : Number(payload.toString('latin1', at, space))
    const equals = space < 0 ? -1 : payload.indexOf(0x3d, space)
    const end = at + length
    if (!(Number.isInteger(length) && length > 0 && end <= payload.length && equals > space && equals < end))
      throw badArchive(what, 'a pax record that is none')
    records.set(payload.toString('latin1', space + 1, equals), payload.subarray(equals + 1, end - 1))
    at = end
  }
  return records
}

function checkSum(header: Buffer, what: string, position: number): void {
  let sum = 8 * 0x20
  for (let index = 0; index < block; index++) if (index < 148 || index >= 156) sum += header[index] as number
  const stated = cString(header, 148, 8).trim()
  if (!/^[0-7]+$/.test(stated) || sum !== Number.parseInt(stated, 8))
    throw badArchive(what, position === 0 ? 'it is no tar archive' : `a damaged header at byte ${position}`)
}

/** Octal text, or GNU's base-256 where the first bit is set. */
function number(header: Buffer, at: number, length: number, what: string): number {
  const first = header[at] as number
  if ((first & 0x80) !== 0) {
    let value = first & 0x7f
    for (let index = 1; index < length; index++) value = value * 256 + (header[at + index] as number)
    if (!Number.isSafeInteger(value)) throw badArchive(what, 'a number in a header is negative or too large')
    return value
  }
  const digits = cString(header, at, length).trim()
  if (digits === '') return 0
  if (!/^[0-7]+$/.test(digits)) throw badArchive(what, 'a number in a header is none')
  return Number.parseInt(digits, 8)
}

function cString(header: Buffer, at: number, length: number): string {
  const end = header.indexOf(0, at)
  return header.toString('latin1', at, end < 0 || end > at + length ? at + length : end)
}

const text = (payload: Buffer): Buffer => {
  const end = payload.indexOf(0)
  return end < 0 ? payload : payload.subarray(0, end)
}

const padded = (bytes: number): number => Math.ceil(bytes / block) * block

/** Small reads from one large one. */
class Window {
  readonly #file: FileHandle
  #bytes = Buffer.alloc(0)
  #start = 0

  constructor(file: FileHandle) {
    this.#file = file
  }

  /** Fewer bytes at the end of the file. */
  async at(position: number, length: number): Promise<Buffer> {
    if (position < this.#start || position + length > this.#start + this.#bytes.length) {
      const wanted = Buffer.allocUnsafe(Math.max(windowBytes, length))
      let filled = 0
      while (filled < wanted.length) {
        const { bytesRead } = await this.#file.read(wanted, filled, wanted.length - filled, position + filled)
        if (bytesRead === 0) break
        filled += bytesRead
      }
      this.#bytes = wanted.subarray(0, filled)
      this.#start = position
    }
    return this.#bytes.subarray(position - this.#start, position - this.#start + length)
  }
}

// Headers of a tar archive that GNU tar reads without a doubt: plain ustar fields, GNU's long names and base-256 numbers, pax records
// for extended attributes only. Names are latin1 strings: byte for byte what the reader gave.

import type { TarEntry } from './tar-reader.ts'

const block = 512
const letters: Record<TarEntry['type'], string> = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  character: '3',
  block: '4',
  directory: '5',
  fifo: '6',
}

/** All that stands before its content. */
export function tarHeader(entry: TarEntry): Buffer {
  const parts: Buffer[] = []
  if (entry.attributes.size > 0) {
    const records = [...entry.attributes].map(([name, value]) => paxRecord(`SCHILY.xattr.${name}`, value))
    parts.push(special('x', 'attributes', Buffer.concat(records)))
  }
  const path = entry.type === 'directory' ? `${entry.path}/` : entry.path
  if (entry.linkPath.length > 99) parts.push(special('K', '././@LongLink', cString(entry.linkPath)))
  if (path.length > 99) parts.push(special('L', '././@LongLink', cString(path)))
  parts.push(header({ ...entry, path: path.slice(0, 99) }, letters[entry.type]))
  return Buffer.concat(parts)
}

/** What fills the last block of a content of so many bytes. */
export const tarPadding = (sizeBytes: number): Buffer => Buffer.alloc((block - (sizeBytes % block)) % block)

export const tarEnd = (): Buffer => Buffer.alloc(2 * block)

function special(letter: string, path: string, content: Buffer): Buffer {
  const facts = { path, linkPath: '', mode: 0o644, uid: 0, gid: 0, sizeBytes: content.length, mtimeSeconds: 0 }
  return Buffer.concat([header(facts, letter), content, tarPadding(content.length)])
}

type Facts = Pick<TarEntry, 'path' | 'linkPath' | 'mode' | 'uid' | 'gid' | 'sizeBytes' | 'mtimeSeconds'>

function header(facts: Facts, letter: string): Buffer {
  const bytes = Buffer.alloc(block)
  bytes.write(facts.path, 0, 100, 'latin1')
  number(bytes, 100, 8, facts.mode)
  number(bytes, 108, 8, facts.uid)
  number(bytes, 116, 8, facts.gid)
  number(bytes, 124, 12, facts.sizeBytes)
  number(bytes, 136, 12, Math.max(0, facts.mtimeSeconds))
  bytes.write(letter, 156, 'latin1')
  bytes.write(facts.linkPath.slice(0, 99), 157, 100, 'latin1')
  bytes.write('ustar  \0', 257, 'latin1')
  bytes.fill(0x20, 148, 156)
  const sum = bytes.reduce((total, byte) => total + byte, 0)
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return bytes
}

function number(bytes: Buffer, at: number, length: number, value: number): void {
  const octal = value.toString(8)
  if (octal.length < length) {
    bytes.write(octal.padStart(length - 1, '0'), at, 'latin1')
    return
  }
  for (let index = length - 1, rest = value; index > 0; index--, rest = Math.floor(rest / 256))
    bytes[at + index] = rest % 256
  bytes[at] = 0x80
}

function paxRecord(key: string, value: Buffer): Buffer {
  const rest = ` ${key}=`.length + value.length + 1
  let length = rest + 1
  while (String(length).length + rest !== length) length = String(length).length + rest
  return Buffer.concat([Buffer.from(`${length} ${key}=`, 'latin1'), value, Buffer.from('\n')])
}

const cString = (text: string): Buffer => Buffer.from(`${text}\0`, 'latin1')

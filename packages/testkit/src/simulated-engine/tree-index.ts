// What the native engine writes as the index of a layer (tree_hash.cc), with other numbers for the same things: an agent only
// compares them. Extended attributes are left out, as everywhere here.

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { type BigIntStats, lstatSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'

const magic = 0x31786464
const numberBytes = 16
const pieceBytes = 64 << 10
const leastInPieces = 256 << 10

export function writeTreeIndex(root: string, file: string): void {
  writeFileSync(file, Buffer.concat([head(), ...entriesOf(root, '.')]))
}

/** Of these paths alone. */
export function writeDetails(root: string, paths: readonly string[], file: string): void {
  const entries = paths.map((path) => {
    const at = Buffer.concat([Buffer.from(`${root}/`), Buffer.from(path, 'latin1')])
    const stats = lstatSync(at, { bigint: true, throwIfNoEntry: false })
    return stats === undefined || stats.isSocket() ? Buffer.alloc(0) : entryOf(at, path, stats)
  })
  writeFileSync(file, Buffer.concat([head(), ...entries]))
}

/** By a program, which knows nanoseconds. */
export function setTimes(root: string, times: readonly { path: string; seconds: number; nanoseconds: number }[]): void {
  for (const { path, seconds, nanoseconds } of times) {
    const date = `@${seconds}.${String(nanoseconds).padStart(9, '0')}`
    execFileSync('touch', ['--no-create', '--no-dereference', '-m', `--date=${date}`, `${root}/${path}`])
  }
}

function head(): Buffer {
  const head = Buffer.alloc(4)
  head.writeUInt32LE(magic)
  return head
}

function* entriesOf(root: string, path: string): Generator<Buffer> {
  const at = Buffer.concat([Buffer.from(`${root}/`), Buffer.from(path, 'latin1')])
  const stats = lstatSync(at, { bigint: true })
  if (stats.isSocket()) return
  yield entryOf(at, path, stats)
  if (!stats.isDirectory()) return
  const names = readdirSync(at, { encoding: 'latin1' }).sort()
  for (const name of names) yield* entriesOf(root, path === '.' ? name : `${path}/${name}`)
}

function entryOf(at: Buffer, path: string, stats: BigIntStats): Buffer {
  const kind = stats.isDirectory() ? 'd' : stats.isFile() ? 'f' : 'o'
  const content = kind === 'f' ? readFileSync(at) : Buffer.alloc(0)
  const hasOtherNames = kind !== 'd' && stats.nlink > 1n
  const link = stats.isSymbolicLink() ? readlinkSync(at, { encoding: 'latin1' }) : ''
  const attributes = `${stats.mode} ${stats.uid} ${stats.gid}`
  const facts = `${attributes} ${stats.mtimeNs} ${stats.rdev} ${kind === 'f' ? stats.size : 0} ${link}`
  const pieces = kind === 'f' && !hasOtherNames && content.length >= leastInPieces ? piecesOf(content) : []
  const name = Buffer.from(path, 'latin1')
  const head = Buffer.alloc(16)
  head.writeUInt32LE(name.length, 0)
  head.writeUInt32LE(pieces.length, 4)
  head.writeBigInt64LE(BigInt(content.length), 8)
  const flags = Buffer.from([kind.charCodeAt(0), hasOtherNames ? 1 : 0])
  return Buffer.concat([head, numberOf(facts), numberOf(attributes), numberOf(content), flags, name, ...pieces])
}

function piecesOf(content: Buffer): Buffer[] {
  const pieces: Buffer[] = []
  for (let at = 0; at < content.length; at += pieceBytes) {
    const piece = content.subarray(at, at + pieceBytes)
    pieces.push(piece.some((byte) => byte !== 0) ? numberOf(piece) : Buffer.alloc(numberBytes))
  }
  return pieces
}

const numberOf = (data: string | Buffer): Buffer => createHash('md5').update(data).digest()

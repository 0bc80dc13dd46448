// What an engine knows of each entry of a layer, in the form in which it writes it down and another host's agent reads it
// (native/engine/src/tree_hash.cc, `index`): little-endian numbers of 128 bits, names as bytes.

export interface IndexEntry {
  kind: 'directory' | 'file' | 'other'
  sizeBytes: number
  /** All but the content, times included. */
  facts: string
  /** Of these what a change of the content leaves as it is. */
  attributes: string
  content: string
  hasOtherNames: boolean
  /** A number for each piece of a larger file that can be patched; else nothing. */
  pieces: Buffer
}

/** By path as in a manifest; parents come before their children. */
export type TreeIndex = Map<string, IndexEntry>

export const pieceBytes = 64 << 10
export const numberBytes = 16
/** More of it costs an agent too much memory: then everything is sent. */
export const mostIndexBytes = 128 << 20

const magic = 0x31786464
const headBytes = 4 + 4 + 8 + 3 * numberBytes + 2
const kinds = { d: 'directory', f: 'file', o: 'other' } as const

/** Null: it isn't one, or of another version. */
export function parseTreeIndex(data: Buffer): TreeIndex | null {
  if (data.length < 4 || data.readUInt32LE(0) !== magic) return null
  const index: TreeIndex = new Map()
  for (let at = 4; at < data.length; ) {
    if (at + headBytes > data.length) return null
    const pathBytes = data.readUInt32LE(at)
    const piecesBytes = data.readUInt32LE(at + 4) * numberBytes
    const kind = kinds[String.fromCharCode(data[at + 64] as number) as keyof typeof kinds]
    const pathAt = at + headBytes
    const end = pathAt + pathBytes + piecesBytes
    if (kind === undefined || end > data.length) return null
    const number = (which: number) =>
      data.toString('latin1', at + 16 + which * numberBytes, at + 16 + (which + 1) * numberBytes)
    index.set(data.toString('latin1', pathAt, pathAt + pathBytes), {
      kind,
      sizeBytes: Number(data.readBigInt64LE(at + 8)),
      facts: number(0),
      attributes: number(1),
      content: number(2),
      hasOtherNames: data[at + 65] !== 0,
      pieces: data.subarray(pathAt + pathBytes, end),
    })
    at = end
  }
  return index
}

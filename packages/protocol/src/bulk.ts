// Bytes in bulk between a client and a host, in pieces: `u32 little-endian length of the head`, head (JSON), bytes. Each piece says where it
// belongs, so that any of them may be sent again, and a transfer that broke goes on where it was. Over HTTP the head is the path and
// the query, and the body nothing but the bytes.

import { DroverError } from './errors.ts'

/** Bytes of one piece: a request of the API has as many. */
export const bulkPieceBytes = 1 << 20
/** A draft of an upload that nobody goes on with is removed after this. */
export const uploadKeptMs = 24 * 60 * 60_000
export const uploadPattern = '^[a-f0-9]{32}$'
/** Header of an answer: how large the whole is. */
export const sizeHeader = 'drover-size'

export type BulkHead =
  /** → {receivedBytes} */
  | { kind: 'write'; upload: string; offset: number }
  | { kind: 'status'; upload: string }
  /** A piece of what lies there → {sizeBytes} and bytes. */
  | { kind: 'read'; upload: string; offset: number; limit: number }
  | { kind: 'remove'; upload: string }
  /** A piece of an image's layer → {sizeBytes} and bytes. */
  | { kind: 'image'; digest: string; offset: number; limit: number }

export interface BulkAnswer {
  receivedBytes?: number
  sizeBytes?: number
}

export function encodeBulk(head: BulkHead | BulkAnswer, bytes: Uint8Array = new Uint8Array()): Buffer {
  const text = Buffer.from(JSON.stringify(head))
  const length = Buffer.alloc(4)
  length.writeUInt32LE(text.length)
  return Buffer.concat([length, text, bytes])
}

export function decodeBulk(message: Buffer): { head: unknown; bytes: Buffer } {
  const length = message.length < 4 ? message.length : message.readUInt32LE(0)
  if (4 + length > message.length) throw new DroverError('BAD_REQUEST', 'bulk: the head is longer than the message')
  try {
    return { head: JSON.parse(message.toString('utf8', 4, 4 + length)), bytes: message.subarray(4 + length) }
  } catch (cause) {
    throw new DroverError('BAD_REQUEST', 'bulk: the head is not JSON', { cause })
  }
}

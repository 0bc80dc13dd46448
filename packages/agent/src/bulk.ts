// Answers pieces of bulk data (protocol/bulk.ts): what is sent to this host, and what of it is read.

import { open } from 'node:fs/promises'
import {
  type BulkHead,
  bulkPieceBytes,
  DroverError,
  decodeBulk,
  decodeMessage,
  encodeBulk,
  encodeMessage,
  FrameType,
  uploadPattern,
} from '@drover/protocol'
import { Compile, Type } from '@drover/schema'
import { describeViolation } from './describe-violation.ts'
import type { ImageStore } from './images/image-store.ts'
import type { Uploads } from './images/uploads.ts'

export interface BulkParts {
  images: ImageStore
  uploads: Uploads
}

const offset = Type.Integer({ minimum: 0 })
const upload = Type.String({ pattern: uploadPattern })
const validator = Compile(
  Type.Union([
    Type.Object({ kind: Type.Literal('write'), upload, offset }),
    Type.Object({ kind: Type.Literal('status'), upload }),
    Type.Object({
      kind: Type.Literal('read'),
      upload,
      offset,
      limit: Type.Integer({ minimum: 1, maximum: bulkPieceBytes }),
    }),
    Type.Object({ kind: Type.Literal('remove'), upload }),
    Type.Object({
      kind: Type.Literal('image'),
      digest: Type.String(),
      offset,
      limit: Type.Integer({ minimum: 1, maximum: bulkPieceBytes }),
    }),
  ]),
)

/** Never rejects: an operating error is an answer too. */
export async function answerBulk(message: Buffer, parts: BulkParts): Promise<Buffer> {
  try {
    const { head, bytes } = decodeBulk(Buffer.from(decodeMessage(message).payload))
    if (!validator.Check(head)) throw new DroverError('BAD_REQUEST', `bulk: ${describeViolation(validator, head)}`)
    return encodeMessage(FrameType.json, await answer(head as BulkHead, bytes, parts))
  } catch (thrown) {
    return encodeMessage(FrameType.error, JSON.stringify(asDroverError(thrown).toJSON()))
  }
}

async function answer(head: BulkHead, bytes: Buffer, { images, uploads }: BulkParts): Promise<Buffer> {
  switch (head.kind) {
    case 'write':
      return encodeBulk({ receivedBytes: await uploads.write(head.upload, head.offset, bytes) })
    case 'status':
      return encodeBulk({ receivedBytes: uploads.receivedBytes(head.upload) })
    case 'read':
      return readPiece(uploads.path(head.upload), uploads.receivedBytes(head.upload), head)
    case 'remove':
      uploads.remove(head.upload)
      return encodeBulk({ receivedBytes: 0 })
    case 'image':
      return readPiece(images.layer(head.digest), images.get(head.digest).sizeBytes, head)
  }
}

async function readPiece(
  path: string,
  sizeBytes: number,
  { limit, offset }: { limit: number; offset: number },
): Promise<Buffer> {
  const file = await open(path, 'r')
  try {
    const piece = Buffer.allocUnsafe(limit)
    const { bytesRead } = await file.read(piece, 0, limit, offset)
    return encodeBulk({ sizeBytes }, piece.subarray(0, bytesRead))
  } finally {
    await file.close()
  }
}

function asDroverError(thrown: unknown): DroverError {
  if ((thrown as NodeJS.ErrnoException | null)?.code !== 'ENOSPC') return DroverError.from(thrown)
  return new DroverError('NO_CAPACITY', 'write what was sent: the disk of the host is full', { cause: thrown })
}

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
import { Type } from 'typebox'
import { Compile } from 'typebox/compile'
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
    case 'image': {
      const { sizeBytes } = images.get(head.digest)
      const file = await open(images.layer(head.digest), 'r')
      try {
        const piece = Buffer.allocUnsafe(head.limit)
        const { bytesRead } = await file.read(piece, 0, head.limit, head.offset)
        return encodeBulk({ sizeBytes }, piece.subarray(0, bytesRead))
      } finally {
        await file.close()
      }
    }
  }
}

function asDroverError(thrown: unknown): DroverError {
  if ((thrown as NodeJS.ErrnoException | null)?.code !== 'ENOSPC') return DroverError.from(thrown)
  return new DroverError('NO_CAPACITY', 'write what was sent: the disk of the host is full', { cause: thrown })
}

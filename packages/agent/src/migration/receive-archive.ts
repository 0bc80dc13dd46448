// What of a migration's stream is taken alike for the disk and for volumes.

import { DroverError } from '@drover/protocol'
import { StreamFrameType, type StreamMessage } from '../streams/messages.ts'
import { decodeStreamMessage, type StreamConnection } from '../streams/stream-connection.ts'
import type { TarProcess } from './tar-process.ts'

export async function receiveArchive(connection: StreamConnection, extraction: TarProcess): Promise<void> {
  for (;;) {
    const frame = await connection.receive()
    if (frame.type === StreamFrameType.end) break
    if (frame.type !== StreamFrameType.data) throw unexpected(decodeStreamMessage(frame))
    await extraction.write(frame.payload)
  }
  await extraction.done()
}

export function unexpected(message: StreamMessage): DroverError {
  return new DroverError('BAD_REQUEST', `migration stream: ${message.kind} came out of turn`)
}

export function raise(error: DroverError): never {
  throw error
}

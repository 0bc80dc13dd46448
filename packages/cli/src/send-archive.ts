// Sends what becomes an image to a host, has it imported there, and says how far it is. Where it came from goes along, so that it can be
// fetched again.

import { resolve } from 'node:path'
import type { DroverClient } from '@drover/client'
import type { ArchiveOrigin, ImageProperties, Operation } from '@drover/protocol'
import { DroverError } from '@drover/protocol/plain'
import { archiveSource } from './archive-source.ts'
import { UsageError } from './failure.ts'
import { followToSuccess, withInterrupt } from './follow-operation.ts'
import { bar, shareOf } from './output/bars.ts'
import { formatBytes } from './output/sizes.ts'
import type { Session } from './session.ts'
import { isUrl, type Known, openUrl } from './url-source.ts'
import type { WaitFlags } from './wait-options.ts'

export interface Archive {
  name: string
  source: string
  rootfs?: string | undefined
  host?: string | undefined
  /** What it must be; undefined: whatever comes. */
  sha256?: string | undefined
  init: string[] | null
  said: ImageProperties
  /** Of the last one from that URL: nothing is sent if it is the same. */
  known?: Known
}

export interface Imported {
  operation: Operation
  sizeBytes: number
  host: string
}

/** null: the server has what is known already. */
export async function sendArchive(
  session: Session,
  client: DroverClient,
  archive: Archive,
  flags: WaitFlags,
): Promise<Imported | null> {
  const { name, init, said } = archive
  const { statusLine } = session.output
  const sent = await withInterrupt(
    session,
    () => [],
    async (signal) => {
      const opened = await open(session, archive, signal)
      if (opened === null) return null
      const { content, sizeBytes, origin } = opened
      const result = await client.upload(content, {
        signal,
        ...(archive.host === undefined ? {} : { host: archive.host }),
        onBytes: (bytes) => {
          const of = sizeBytes === null ? '' : ` of ${formatBytes(sizeBytes)} ${bar(shareOf(bytes, sizeBytes), 20)}`
          statusLine.show(`sending ${formatBytes(bytes)}${of}`, `sending ${name}`)
        },
      })
      return { ...result, origin }
    },
  )
  if (sent === null) return null
  const { upload, host, sha256, sizeBytes, origin } = sent
  if (archive.sha256 !== undefined && archive.sha256 !== sha256) {
    await client.removeUpload(upload, host).catch(() => {})
    const why = `it has SHA-256 ${sha256}, not ${archive.sha256}`
    throw new DroverError('TRANSFER_FAILED', `import ${archive.source}: ${why}; nothing was changed`)
  }
  const request = {
    name,
    upload,
    host,
    sha256,
    ...(init === null ? {} : { init }),
    ...(Object.keys(said).length === 0 ? {} : { properties: said }),
    ...(origin === null ? {} : { origin }),
  }
  return { operation: await followToSuccess(session, await client.importImage(request), flags), sizeBytes, host }
}

interface Opened {
  content: AsyncIterable<Uint8Array>
  sizeBytes: number | null
  /** null: it can't be had again. */
  origin: ArchiveOrigin | null
}

async function open(
  session: Session,
  { source, rootfs, sha256, known }: Archive,
  signal: AbortSignal,
): Promise<Opened | null> {
  if (!isUrl(source)) {
    const path = (each: string) => resolve(each)
    const origin: ArchiveOrigin = {
      kind: 'file',
      path: path(source),
      rootfs: rootfs === undefined ? null : path(rootfs),
    }
    return { ...(await archiveSource(session, source, rootfs)), origin: source === '-' ? null : origin }
  }
  if (rootfs !== undefined)
    throw new UsageError('a split image comes from two files, not from URLs', 'fetch both first')
  const answer = await openUrl(source, { signal, sha256, known })
  if (answer === null) return null
  const { content, sizeBytes, etag, modified } = answer
  return { content, sizeBytes, origin: { kind: 'url', url: source, etag, modified } }
}

// What `image import` sends: a file as it is, stdin, a directory as a tar of it, or both files of a split image in one tar.

import { spawn } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, dirname, resolve } from 'node:path'
import { DroverError } from '@drover/protocol/plain'
import { UsageError } from './failure.ts'
import type { Session } from './session.ts'

export interface ArchiveSource {
  content: AsyncIterable<Uint8Array>
  /** null: nobody knows before its end. */
  sizeBytes: number | null
}

export async function archiveSource(
  session: Session,
  source: string,
  rootfs: string | undefined,
): Promise<ArchiveSource> {
  if (rootfs !== undefined) return splitImage(source, rootfs)
  if (source === '-') return { content: session.terminal.stdin as AsyncIterable<Uint8Array>, sizeBytes: null }
  const info = await look(source)
  if (info.isDirectory()) {
    const attributes = process.getuid?.() === 0 ? ['--xattrs', '--xattrs-include=*'] : []
    const sockets = '--warning=no-file-ignored'
    return { content: tar(['--directory', source, '--numeric-owner', sockets, ...attributes, '.']), sizeBytes: null }
  }
  return { content: createReadStream(source, { highWaterMark: 1 << 20 }), sizeBytes: info.size }
}

async function splitImage(metadata: string, rootfs: string): Promise<ArchiveSource> {
  const sizes = await Promise.all([metadata, rootfs].map(async (path) => (await look(path)).size))
  // The names by which the host knows them again.
  const rename = (path: string, to: string) => [
    `--transform=flags=r;s|^${pattern(basename(path))}$|${to}|`,
    '--directory',
    dirname(resolve(path)),
    basename(path),
  ]
  const words = [...rename(metadata, 'drover-split-metadata'), ...rename(rootfs, 'drover-split-rootfs')]
  return { content: tar(['--dereference', ...words]), sizeBytes: (sizes[0] ?? 0) + (sizes[1] ?? 0) }
}

const pattern = (name: string): string => name.replace(/[\\.*[\]^$|]/g, '\\$&')

async function* tar(args: string[]): AsyncGenerator<Uint8Array> {
  const child = spawn('tar', ['--create', '--file=-', '--format=posix', ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-600)
  })
  const ended = new Promise<number | null>((done, fail) => child.once('error', fail).once('close', done))
  ended.catch(() => {})
  try {
    for await (const chunk of child.stdout) yield chunk as Buffer
    const status = await ended
    if (status !== 0) throw new DroverError('BAD_REQUEST', `pack it: tar ended with ${status}: ${said.trim()}`)
  } finally {
    child.kill('SIGKILL')
  }
}

async function look(path: string) {
  try {
    return await stat(path)
  } catch (error) {
    throw new UsageError(
      `${path}: ${(error as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no such file' : (error as Error).message}`,
    )
  }
}

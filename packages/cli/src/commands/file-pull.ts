// `drover file pull`: a file or tree out of a container. Names inside are the container's and not trusted: nothing is written
// outside the target, and nothing through a link that the same tree has brought.

import { createWriteStream } from 'node:fs'
import { chmod, lstat, mkdir, rm, stat, symlink } from 'node:fs/promises'
import { basename, join, posix, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { DroverClient } from '@drover/client'
import type { FileEntry, FileStatus } from '@drover/protocol'
import { DroverError } from '@drover/protocol/plain'
import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { UsageError } from '../failure.ts'
import { entriesOf, type FilePlace, inParallel, parsePlace, readPieces, statusOf } from '../file-place.ts'
import type { Session } from '../session.ts'

export function register(group: Command): void {
  defineCommand(group, 'pull', {
    summary: 'copy a file or tree out of a container',
    description:
      'Copies a file or a tree (-r) out of a container, into the directory TARGET or else as TARGET; - writes to stdout. Devices, pipes and sockets are left out. Files belong to you and keep their mode without set-id bits.',
    examples: [
      ['drover file pull web:/var/log/nginx/error.log .', 'a file'],
      ['drover file pull -r web:/etc backup/', 'a tree'],
      ['drover file pull web:/etc/os-release -', 'to stdout'],
    ],
    json: 'print one JSON document {files, bytes} on stdout and nothing else',
  })
    .argument('<place>', 'NAME:/PATH', parsePlace)
    .argument('<target>', 'file or directory here, - for stdout')
    .option('-r, --recursive', 'a directory with all that is in it')
    .action(action(pull))
}

async function pull(session: Session, place: FilePlace, target: string, flags: { recursive?: boolean }): Promise<void> {
  const client = await session.client()
  if (target === '-') {
    if (session.output.json) throw new UsageError('--json has stdout for itself', 'pull into a file')
    for await (const piece of readPieces(client, place)) {
      if (!session.terminal.stdout.write(piece))
        await new Promise((resume) => session.terminal.stdout.once('drain', resume))
    }
    return
  }
  const status = await statusOf(client, place)
  if (!status) throw new DroverError('FILE_NOT_FOUND', `pull ${place.path} from ${place.container}: nothing is there`)
  if (status.type === 'directory' && !flags.recursive) {
    throw new UsageError(`${place.path} is a directory`, 'copy it with all that is in it: -r')
  }
  const into = await stat(target).then(
    (info) => info.isDirectory(),
    () => target.endsWith('/'),
  )
  if (into) await mkdir(target, { recursive: true })
  const to = into ? join(target, basename(resolve(place.path)) || place.container) : target
  const done = { files: 0, bytes: 0 }
  if (status.type === 'directory') await pullTree(session, client, place, to, status, done)
  else await pullFile(client, place, to, status, done)
  session.output.result(done, () => `copied ${done.files} ${done.files === 1 ? 'file' : 'files'}, ${done.bytes} bytes`)
}

type Done = { files: number; bytes: number }

async function pullFile(client: DroverClient, place: FilePlace, to: string, status: FileStatus, done: Done) {
  await pipeline(
    Readable.from(readPieces(client, place)),
    async function* (pieces: AsyncIterable<Buffer>) {
      for await (const piece of pieces) {
        done.bytes += piece.length
        yield piece
      }
    },
    createWriteStream(to, { mode: 0o600 }),
  )
  await chmod(to, status.mode & 0o777)
  done.files++
}

/** Links come last: no file of the tree can then be written through one. */
async function pullTree(
  session: Session,
  client: DroverClient,
  place: FilePlace,
  to: string,
  root: FileStatus,
  done: Done,
) {
  const files: { from: string; to: string; entry: FileEntry }[] = []
  const links: { to: string; target: string }[] = []
  const directories: { to: string; mode: number }[] = []
  const walk = async (from: string, target: string, mode: number): Promise<void> => {
    if (target !== to) await removeLink(target)
    await mkdir(target, { recursive: true, mode: 0o700 })
    directories.push({ to: target, mode })
    for (const entry of await entriesOf(client, { ...place, path: from })) {
      const { name } = entry
      // What the engine reads from a directory can't have these; an answer that does is not believed.
      if (name === '' || name === '.' || name === '..' || name.includes('/')) continue
      const found = { from: posix.join(from, name), to: join(target, name), entry }
      if (entry.type === 'directory') await walk(found.from, found.to, entry.mode)
      else if (entry.type === 'file') files.push(found)
      else if (entry.type === 'symlink') links.push({ to: found.to, target: entry.target ?? '' })
      else session.output.note(`left out ${found.from}: it is a ${entry.type}`)
    }
  }
  await walk(place.path, to, root.mode)
  await inParallel(files, async ({ from, to: file, entry }) => {
    await removeLink(file)
    await pullFile(client, { ...place, path: from }, file, entry, done)
  })
  for (const link of links) {
    await rm(link.to, { force: true })
    await symlink(link.target, link.to)
    done.files++
  }
  for (const { to: directory, mode } of directories.reverse()) await chmod(directory, mode & 0o777)
}

/** What an earlier pull of the same tree may have left: a link there would lead what comes now elsewhere. */
async function removeLink(path: string): Promise<void> {
  const info = await lstat(path).catch(() => null)
  if (info?.isSymbolicLink()) await rm(path)
}

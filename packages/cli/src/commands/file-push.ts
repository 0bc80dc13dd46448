// `drover file push`: a file, a tree or stdin into a container.

import { createReadStream } from 'node:fs'
import { lstat, readdir, readlink, stat } from 'node:fs/promises'
import { basename, join, posix, resolve } from 'node:path'
import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { UsageError } from '../failure.ts'
import {
  type FilePlace,
  inParallel,
  noOwner,
  type Owner,
  parseMode,
  parsePlace,
  statusOf,
  writePieces,
} from '../file-place.ts'
import type { Session } from '../session.ts'
import { parseUser } from './exec.ts'

interface PushFlags {
  recursive?: boolean
  mode?: number
  user?: { uid: number; gid: number }
}

export function register(group: Command): void {
  defineCommand(group, 'push', {
    summary: 'copy a file or tree into a container',
    description:
      'Copies a file, a tree (-r) or stdin (-) into a container; into the directory that PATH names, or else as PATH. New files get the mode of the original and belong to root; a file that is there keeps its mode and owner.',
    examples: [
      ['drover file push site.conf web:/etc/nginx/conf.d/', 'a file into a directory'],
      ['drover file push -r public web:/srv --user 33', 'a tree, for user 33'],
      ['date | drover file push - web:/etc/stamp --mode 600', 'from stdin'],
    ],
    json: 'print one JSON document {files, bytes} on stdout and nothing else',
  })
    .argument('<source>', 'file or directory here, - for stdin')
    .argument('<place>', 'NAME:/PATH', parsePlace)
    .option('-r, --recursive', 'a directory with all that is in it')
    .option('-m, --mode <mode>', 'mode of the file, e.g. 644', parseMode)
    .option('-u, --user <uid[:gid]>', 'owner inside, numeric', parseUser)
    .action(action(push))
}

async function push(session: Session, source: string, place: FilePlace, flags: PushFlags): Promise<void> {
  const client = await session.client()
  const owner = flags.user ?? { uid: null, gid: null }
  const target = await statusOf(client, place)
  const into = target?.type === 'directory' || place.path.endsWith('/')
  const done = { files: 0, bytes: 0 }
  const send = async (content: AsyncIterable<Buffer>, path: string, given: Owner) => {
    const bytes = await writePieces(client, { ...place, path }, content, given)
    // Others count meanwhile: nothing is read before the wait and written after it.
    done.bytes += bytes
    done.files++
  }
  if (source === '-') {
    if (into)
      throw new UsageError(
        'what comes from stdin needs a name',
        `e.g. ${place.container}:${posix.join(place.path, 'NAME')}`,
      )
    await send(session.terminal.stdin as AsyncIterable<Buffer>, place.path, {
      ...noOwner,
      ...owner,
      mode: flags.mode ?? null,
    })
  } else {
    const path = into ? posix.join(place.path, basename(resolve(source))) : place.path
    const info = await stat(source)
    if (info.isDirectory() && !flags.recursive)
      throw new UsageError(`${source} is a directory`, 'copy it with all that is in it: -r')
    const existing = into || target === null ? await statusOf(client, { ...place, path }) : target
    const mode = flags.mode ?? (existing && !info.isDirectory() ? null : info.mode & 0o7777)
    if (info.isDirectory()) await pushTree(session, source, { ...place, path }, owner, send)
    else await send(createReadStream(source), path, { mode, ...owner })
  }
  session.output.result(done, () => `copied ${done.files} ${done.files === 1 ? 'file' : 'files'}, ${done.bytes} bytes`)
}

/** Directories first, so that every file finds its own; then files and links side by side. */
async function pushTree(
  session: Session,
  source: string,
  { container, path }: FilePlace,
  owner: Pick<Owner, 'uid' | 'gid'>,
  send: (content: AsyncIterable<Buffer>, path: string, owner: Owner) => Promise<void>,
): Promise<void> {
  const client = await session.client()
  const leaves: string[] = []
  const walk = async (below: string): Promise<void> => {
    const { mode } = await stat(join(source, below))
    const made = { path: posix.join(path, below), type: 'directory' as const, target: null, mode: mode & 0o7777 }
    await client.inside(container, 'fileMake', { ...made, ...owner })
    for (const entry of await readdir(join(source, below), { withFileTypes: true })) {
      const name = join(below, entry.name)
      if (entry.isDirectory()) await walk(name)
      else if (entry.isFile() || entry.isSymbolicLink()) leaves.push(name)
      else session.output.note(`left out ${join(source, name)}: neither file, directory nor link`)
    }
  }
  await walk('.')
  await inParallel(leaves, async (name) => {
    const from = join(source, name)
    const to = posix.join(path, name)
    const info = await lstat(from)
    if (info.isSymbolicLink()) {
      const target = await readlink(from)
      await client.inside(container, 'fileMake', { path: to, type: 'symlink', target, mode: null, ...owner })
    } else await send(createReadStream(from), to, { mode: info.mode & 0o7777, ...owner })
  })
}

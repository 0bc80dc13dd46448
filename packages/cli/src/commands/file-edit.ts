// `drover file edit`: a file of a container in the user's own editor.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, posix } from 'node:path'
import { DroverError } from '@drover/protocol/plain'
import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { UsageError } from '../failure.ts'
import { type FilePlace, noOwner, parsePlace, readPieces, statusOf, writePieces } from '../file-place.ts'
import type { Session } from '../session.ts'

export function register(group: Command): void {
  defineCommand(group, 'edit', {
    summary: 'edit a file of a container',
    description:
      'Opens a file of a container in $VISUAL, else $EDITOR, else vi, and writes it back when it was changed. Owner and mode stay; a file that is not there is made.',
    examples: [['EDITOR=nano drover file edit web:/etc/hosts', 'in an editor of your choice']],
    json: 'print one JSON document {changed, bytes} on stdout; the editor must then not use it',
  })
    .argument('<place>', 'NAME:/PATH', parsePlace)
    .action(action(edit))
}

async function edit(session: Session, place: FilePlace): Promise<void> {
  const client = await session.client()
  const { environment } = session.terminal
  const editor = environment.VISUAL || environment.EDITOR || 'vi'
  const pieces: Buffer[] = []
  const exists = (await statusOf(client, place)) !== null
  if (exists) for await (const piece of readPieces(client, place)) pieces.push(piece)
  const before = Buffer.concat(pieces)
  const directory = await mkdtemp(join(tmpdir(), 'drover-edit-'))
  try {
    const copy = join(directory, posix.basename(place.path))
    await writeFile(copy, before, { mode: 0o600 })
    // As a shell would take it: editors are given with options.
    const child = spawn('/bin/sh', ['-c', `${editor} "$1"`, 'sh', copy], { stdio: 'inherit', env: environment })
    const [code] = (await once(child, 'close')) as [number | null]
    if (code !== 0) throw new UsageError(`the editor (${editor}) failed: nothing was written`)
    const after = await readFile(copy).catch((cause: Error) => {
      throw new DroverError('WRONG_STATE', `edit ${place.path}: the editor left no file`, { cause })
    })
    const changed = !exists || !before.equals(after)
    const content = async function* () {
      yield after
    }
    if (changed) await writePieces(client, place, content(), noOwner)
    session.output.result({ changed, bytes: after.length }, () =>
      changed ? `wrote ${after.length} bytes` : 'unchanged',
    )
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

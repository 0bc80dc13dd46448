// `drover file ls`: a directory of a container.

import { posix } from 'node:path'
import type { FileEntry } from '@drover/protocol'
import { DroverError } from '@drover/protocol/plain'
import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { entriesOf, type FilePlace, modeText, parsePlace, statusOf } from '../file-place.ts'
import { renderTable } from '../output/table.ts'
import type { Session } from '../session.ts'

export function register(group: Command): void {
  defineCommand(group, 'ls', {
    summary: 'list a directory of a container',
    description:
      'Lists a directory of a container, or shows one file. Works on stopped and frozen containers, too. Owners are as the container sees them.',
    examples: [
      ['drover file ls web:/etc', 'mode, owner, size and time of each entry'],
      ['drover file ls web:/etc/hosts', 'of one file'],
    ],
    json: 'print one JSON array on stdout: {name, type, mode, uid, gid, sizeBytes, modifiedAtMs, target} each',
  })
    .alias('list')
    .argument('<place>', 'NAME:/PATH', parsePlace)
    .action(action(list))
}

async function list(session: Session, place: FilePlace): Promise<void> {
  const client = await session.client()
  const status = await statusOf(client, place)
  if (!status) throw new DroverError('FILE_NOT_FOUND', `list ${place.path} in ${place.container}: nothing is there`)
  const entries: FileEntry[] =
    status.type === 'directory' ? await entriesOf(client, place) : [{ name: posix.basename(place.path), ...status }]
  const { output } = session
  if (output.json) return output.document(entries)
  if (entries.length === 0) return output.note('the directory is empty')
  output.line(
    renderTable(
      output.palette,
      [
        { header: 'MODE', value: modeText },
        { header: 'UID', align: 'right', value: ({ uid }) => String(uid) },
        { header: 'GID', align: 'right', value: ({ gid }) => String(gid) },
        { header: 'BYTES', align: 'right', value: ({ sizeBytes }) => String(sizeBytes) },
        { header: 'MODIFIED', value: ({ modifiedAtMs }) => new Date(modifiedAtMs).toISOString().slice(0, 19) },
        { header: 'NAME', value: ({ name, target }) => visible(target === null ? name : `${name} -> ${target}`) },
      ],
      entries,
    ),
  )
}

/** A name may hold anything, the terminal's control sequences too. */
function visible(text: string): string {
  return /\p{Cc}/u.test(text) ? JSON.stringify(text) : text
}

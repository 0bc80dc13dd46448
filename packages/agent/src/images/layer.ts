// A root file system as one canonical tar, and back. The same tree gives the same bytes wherever it is packed: entries sorted by
// name, one fixed time, numeric owners, no access or change times. Its SHA-256 is the image's digest. Extended attributes
// (file capabilities) are part of it; a process without root leaves owners and attributes out when it unpacks.

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { runCommand } from './run-command.ts'

export interface PackedLayer {
  digest: string
  sizeBytes: number
}

/** Every file of an image carries this time: 2024-01-01. An image must not depend on when it was built. */
const fixedTime = '@1704067200'
const packDeadlineMs = 600_000
const root = () => process.getuid?.() === 0
const attributes = () => (root() ? ['--xattrs', '--xattrs-include=*', '--acls'] : [])

/** Times are one, or, of a tree that somebody else made, kept up to the newest one in seconds that it had: unpacking makes newer ones. */
export async function packLayer(
  rootfs: string,
  layer: string,
  owners: 'kept' | 'root',
  newestSeconds: number | null = null,
): Promise<PackedLayer> {
  await runCommand(
    'tar',
    [
      '--create',
      '--file',
      layer,
      '--directory',
      rootfs,
      '--sort=name',
      ...(newestSeconds === null ? [`--mtime=${fixedTime}`] : ['--clamp-mtime', `--mtime=@${newestSeconds}`]),
      '--numeric-owner',
      ...(owners === 'root' ? ['--owner=0', '--group=0'] : attributes()),
      '--format=posix',
      '--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime',
      '.',
    ],
    { deadlineMs: packDeadlineMs },
  )
  const hash = createHash('sha256')
  let sizeBytes = 0
  for await (const chunk of createReadStream(layer, { highWaterMark: 1 << 20 })) {
    hash.update(chunk as Buffer)
    sizeBytes += (chunk as Buffer).length
  }
  return { digest: `sha256:${hash.digest('hex')}`, sizeBytes }
}

export async function unpackLayer(layer: string, rootfs: string): Promise<void> {
  await mkdir(rootfs, { mode: 0o755 })
  await unpackInto(layer, rootfs)
}

export async function unpackInto(layer: string, rootfs: string): Promise<void> {
  const owners = root() ? ['--same-owner'] : ['--no-same-owner']
  await runCommand(
    'tar',
    [
      '--extract',
      '--file',
      layer,
      '--directory',
      rootfs,
      '--numeric-owner',
      '--same-permissions',
      ...owners,
      ...attributes(),
    ],
    { deadlineMs: packDeadlineMs },
  )
}

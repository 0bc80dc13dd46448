// `drover image import`: an archive or directory from here, or one at a URL, becomes an image of the cluster.

import { basename, resolve } from 'node:path'
import { DroverError } from '@drover/protocol/plain'
import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { UsageError } from '../failure.ts'
import { parseName, parsePair, parseSha256 } from '../names.ts'
import { formatBytes } from '../output/sizes.ts'
import { sendArchive } from '../send-archive.ts'
import type { Session } from '../session.ts'
import { isUrl } from '../url-source.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'

interface ImportFlags extends WaitFlags {
  alias?: string
  host?: string
  init?: string
  property?: Record<string, string>
  sha256?: string
}

export function register(group: Command): void {
  const command = defineCommand(group, 'import', {
    summary: 'make an image of an archive or a directory',
    description: `Sends an archive to a host, which makes an image of it: a root file system as .tar, .tar.gz, .tar.xz, .tar.zst, .tar.bz2 or
squashfs, an image of LXD or Incus (one file, or metadata and root file system as two), an OCI layout, a docker archive; or a
directory with a root file system or an OCI layout. Paths that lead out of it are refused, device nodes left out. Its init is the
image's own, unless --init says another. What arrives is checked by its SHA-256.

A URL is fetched by this command, by https, or by http with --sha256. Where it came from is kept: drover image refresh.`,
    examples: [
      ['drover image import debian-12-rootfs.tar.zst --alias bookworm', 'a root file system'],
      ['drover image import incus.tar.xz rootfs.squashfs --alias alpine', 'both files of an image of LXD or Incus'],
      ['drover image import ./rootfs --alias mine -p os=mine', 'a directory, with a property'],
      ['drover image import https://images.example/rootfs.tar.xz --alias site', 'from a URL'],
      ['docker save app | drover image import - --alias app --init /sbin/tini', 'from stdin'],
    ],
  })
    .argument('<source>', 'file, directory or URL, - for stdin; of a split image the metadata')
    .argument('[rootfs]', 'the root file system of a split image')
    .option('--alias <name>', 'name of the image (default: that of the file)', parseName)
    .option('--host <host>', 'where it is made (default: any ready host)', parseName)
    .option('--sha256 <hex>', 'of the archive: anything else is refused', parseSha256)
    .option('--init <path>', 'what starts as process 1, with arguments after blanks')
    .option('-p, --property <KEY=VALUE>', 'said of it in image ls; repeatable', parsePair)
  addWaitOptions(command).action(action(importImage))
}

async function importImage(
  session: Session,
  source: string,
  rootfs: string | undefined,
  flags: ImportFlags,
): Promise<void> {
  const name = flags.alias ?? nameOf(source)
  const init = flags.init?.split(/\s+/).filter((word) => word !== '') ?? null
  const client = await session.client()
  const { host, sha256, property: said = {} } = flags
  const sent = await sendArchive(session, client, { name, source, rootfs, host, sha256, init, said }, flags)
  if (sent === null) throw new DroverError('TRANSFER_FAILED', `fetch ${source}: the server sent nothing`)
  const { operation } = sent
  session.output.result(operation, () =>
    operation.state === 'running'
      ? `importing ${name} on ${sent.host}, operation ${operation.id}`
      : `imported image ${name} on ${sent.host}: ${formatBytes(sent.sizeBytes)} sent, ${operation.progress.message}`,
  )
}

/** `debian-12.tar.xz` → debian-12 */
function nameOf(source: string): string {
  if (source === '-') throw new UsageError('what comes from stdin needs a name', 'e.g. --alias mine')
  const base = basename(isUrl(source) ? new URL(source).pathname : resolve(source)).replace(
    /(\.tar)?(\.(tar|tgz|gz|xz|zst|bz2|squashfs))?$/i,
    '',
  )
  const name = base
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 63)
  if (name === '') throw new UsageError(`${source} gives no name`, 'say one: --alias NAME')
  return name
}

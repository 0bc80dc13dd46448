// `drover image export`: the root file system of an image as a tar archive here.

import { createHash } from 'node:crypto'
import { DroverError } from '@drover/protocol/plain'
import type { Command } from 'commander'
import { intoArchive } from '../archive-sink.ts'
import { action, defineCommand } from '../define-command.ts'
import { withInterrupt } from '../follow-operation.ts'
import { parseName } from '../names.ts'
import { bar, shareOf } from '../output/bars.ts'
import { formatBytes } from '../output/sizes.ts'
import type { Session } from '../session.ts'

export function register(group: Command): void {
  defineCommand(group, 'export', {
    summary: 'write an image as a tar archive',
    description: `Writes the root file system of an image as a tar archive, packed as the name of the file says (.tar, .tar.gz, .tar.xz,
.tar.zst); - is stdout. Its SHA-256 before packing is the image's digest, and checked. drover image import takes it again.`,
    examples: [
      ['drover image export bookworm', 'into bookworm.tar'],
      ['drover image export bookworm bookworm.tar.zst', 'packed'],
      ['drover image export web - | docker import - web', 'to another program'],
    ],
    json: 'print one JSON document {image, digest, file, bytes} on stdout and nothing else',
  })
    .argument('<image>', 'name of the image', parseName)
    .argument('[file]', 'where to; default: IMAGE.tar')
    .action(action(exportImage))
}

async function exportImage(session: Session, name: string, given: string | undefined): Promise<void> {
  const client = await session.client()
  const image = (await client.images()).find((each) => each.name === name)
  if (!image) throw new DroverError('IMAGE_NOT_FOUND', `export: there is no image ${name}`)
  const file = given ?? `${name}.tar`
  const hash = createHash('sha256')
  let bytes = 0
  await intoArchive(session, file, async (sink) => {
    await withInterrupt(
      session,
      () => [],
      async (signal) => {
        for await (const chunk of client.imageContent(name, { signal })) {
          hash.update(chunk)
          bytes += chunk.length
          await sink.write(chunk)
          const share = `${formatBytes(bytes)} of ${formatBytes(image.sizeBytes)}`
          session.output.statusLine.show(`${share} ${bar(shareOf(bytes, image.sizeBytes), 20)}`, `exporting ${name}`)
        }
      },
    )
    const digest = `sha256:${hash.digest('hex')}`
    if (digest !== image.digest)
      throw new DroverError('TRANSFER_FAILED', `export ${name}: what came has digest ${digest}, not ${image.digest}`)
  })
  session.output.statusLine.clear()
  if (file === '-') return
  session.output.result(
    { image: name, digest: image.digest, file, bytes },
    () => `wrote ${file}: ${formatBytes(bytes)} of image ${name}`,
  )
}

// `drover image ls`: the images of the cluster.

import type { Image } from '@drover/protocol'
import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { formatAge } from '../output/durations.ts'
import type { Palette } from '../output/palette.ts'
import { formatBytes } from '../output/sizes.ts'
import { renderTable } from '../output/table.ts'
import { byName } from './ls.ts'

export function register(group: Command): void {
  defineCommand(group, 'ls', {
    summary: 'list images',
    examples: [['drover image ls', 'name, size, age and where each was built']],
  })
    .alias('list')
    .action(
      action(async ({ output, client }) => {
        const images = (await (await client()).images()).sort(byName)
        if (output.json) return output.document(images)
        if (images.length === 0) return output.note('no images yet; make one: drover image build busybox')
        output.line(imageTable(output.palette, images, Date.now()))
      }),
    )
}

export function imageTable(palette: Palette, images: readonly Image[], nowMs: number): string {
  return renderTable(
    palette,
    [
      { header: 'NAME', value: ({ name }) => palette.bold(name) },
      { header: 'SIZE', align: 'right', value: ({ sizeBytes }) => formatBytes(sizeBytes) },
      { header: 'AGE', align: 'right', value: ({ createdAtMs }) => formatAge(createdAtMs, nowMs) },
      { header: 'BUILT ON', value: ({ builtOn }) => builtOn },
      { header: 'INIT', value: ({ init }) => init.join(' ') },
      { header: 'DIGEST', value: ({ digest }) => palette.dim(`${digest.slice(0, 19)}…`) },
    ],
    images,
  )
}

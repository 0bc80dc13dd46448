// `drover image rm`: takes away names of images, and with its last one the image.

import type { Operation } from '@drover/protocol'
import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { parseNames } from '../names.ts'

export function register(group: Command): void {
  defineCommand(group, 'rm', {
    summary: 'remove images',
    description: `Removes images by name. With the last name of one its files go from all hosts, as soon as no container is made of it any
more; containers stay as they are.`,
    examples: [['drover image rm old-debian', 'nothing new starts from it']],
    json: 'print one JSON array on stdout: the operations',
  })
    .alias('delete')
    .argument('<image...>', 'names of images', parseNames)
    .action(
      action(async (session, names: string[]) => {
        const client = await session.client()
        const operations: Operation[] = []
        for (const name of names) operations.push(await client.deleteImage(name))
        session.output.result(operations, () => names.map((name) => `removed image ${name}`).join('\n'))
      }),
    )
}

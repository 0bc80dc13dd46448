// `drover image alias`: one more name for an image.

import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { parseName } from '../names.ts'

export function register(group: Command): void {
  defineCommand(group, 'alias', {
    summary: 'give an image one more name',
    description: 'Gives an image one more name. All names of an image are alike; drover image rm takes one away.',
    examples: [['drover image alias debian-2026-11 debian', 'what launch --image debian means from now on']],
  })
    .argument('<image>', 'name of the image', parseName)
    .argument('<alias>', 'the other name', parseName)
    .action(
      action(async (session, name: string, alias: string) => {
        const operation = await (await session.client()).setImage(name, { alias })
        session.output.result(operation, () => `image ${name} is ${alias} as well`)
      }),
    )
}

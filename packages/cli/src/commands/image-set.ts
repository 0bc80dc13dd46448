// `drover image set`: what is said of an image.

import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { parseName, parsePair } from '../names.ts'

export function register(group: Command): void {
  defineCommand(group, 'set', {
    summary: 'say something of an image',
    description:
      'Sets properties of an image, free texts by key, as image ls --json shows them; an empty one takes it away.',
    examples: [
      ['drover image set bookworm description="as of November" os=debian', 'two properties'],
      ['drover image set bookworm os=', 'without one'],
    ],
  })
    .argument('<image>', 'name of the image', parseName)
    .argument('<KEY=VALUE...>', 'properties', parsePair)
    .action(
      action(async (session, name: string, given: Record<string, string>) => {
        const properties = Object.fromEntries(
          Object.entries(given).map(([key, value]) => [key, value === '' ? null : value]),
        )
        const operation = await (await session.client()).setImage(name, { properties })
        session.output.result(operation, () => `changed image ${name}`)
      }),
    )
}

// `drover publish`: a container, or a snapshot of it, becomes an image.

import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { followToSuccess } from '../follow-operation.ts'
import { parseName, parsePair } from '../names.ts'
import { parseSnapshotPlace, type SnapshotPlace } from '../snapshot-place.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'

interface PublishFlags extends WaitFlags {
  alias?: string
  property?: Record<string, string>
}

export function register(program: Command): void {
  const command = defineCommand(program, 'publish', {
    summary: 'make an image of a container',
    description: `Makes an image of the disk of a container or of a snapshot of it. One that runs stands still only for what changed during
the copying. Name and machine id are left out; everything else on the disk is in the image, SSH host keys and secrets too.`,
    examples: [
      ['drover publish web-1 --alias web-golden', 'as it is now'],
      ['drover publish web-1/before-upgrade --alias web-old -p release=12', 'as it was at a snapshot'],
    ],
  })
    .argument('<container>', 'name of a container, or NAME/SNAPSHOT', parseSnapshotPlace)
    .option('--alias <name>', 'name of the image (default: that of the container)', parseName)
    .option('-p, --property <KEY=VALUE>', 'said of it in image ls; repeatable', parsePair)
  addWaitOptions(command).action(
    action(async (session, { container, snapshot }: SnapshotPlace, flags: PublishFlags) => {
      const client = await session.client()
      const image = flags.alias ?? container
      const request = {
        image,
        ...(snapshot === null ? {} : { snapshot }),
        ...(flags.property === undefined ? {} : { properties: flags.property }),
      }
      const operation = await followToSuccess(session, await client.publish(container, request), flags)
      session.output.result(operation, () =>
        operation.state === 'running'
          ? `publishing ${container}, operation ${operation.id}`
          : `published ${container} as image ${image}: ${operation.progress.message}`,
      )
    }),
  )
}

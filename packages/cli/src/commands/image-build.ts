// `drover image build`: makes an image from one of the recipes that drover knows, on a host of the cluster.

import type { ImageBuildRequest } from '@drover/protocol'
import { Argument, type Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { recipes } from '../failure.ts'
import { followToSuccess } from '../follow-operation.ts'
import { parseName } from '../names.ts'
import { formatDuration } from '../output/durations.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'

interface BuildFlags extends WaitFlags {
  name?: string
  host?: string
}

export function register(group: Command): void {
  const command = defineCommand(group, 'build', {
    summary: 'build an image from a recipe',
    description:
      'Builds an image from a recipe. busybox: a small system (init, syslogd, crond, httpd) in about a second, needing no network.\ndebian: Debian with systemd and ssh, by mmdebstrap, from your Debian mirror.',
    examples: [
      ['drover image build busybox', 'the default image'],
      ['drover image build debian --name bookworm --host a', 'under another name, built on host a'],
    ],
  })
    .addArgument(new Argument('<recipe>', 'what to build').choices(recipes))
    .option('--name <name>', 'name of the image (default: that of the recipe)', parseName)
    .option('--host <host>', 'where to build it (default: any ready host)', parseName)
  addWaitOptions(command).action(
    action(async (session, recipe: ImageBuildRequest['recipe'], flags: BuildFlags) => {
      const client = await session.client()
      const request: ImageBuildRequest = {
        recipe,
        ...(flags.name === undefined ? {} : { name: flags.name }),
        ...(flags.host === undefined ? {} : { host: flags.host }),
      }
      const operation = await followToSuccess(session, await client.buildImage(request), flags)
      session.output.result(operation, () => {
        if (operation.state === 'running') return `building ${operation.target}, operation ${operation.id}`
        const took =
          operation.endedAtMs === null ? '' : ` in ${formatDuration(operation.endedAtMs - operation.createdAtMs)}`
        return `built image ${operation.target}${took}`
      })
    }),
  )
}

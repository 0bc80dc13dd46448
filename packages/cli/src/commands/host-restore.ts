// `drover host restore`: takes an emptied host back into service.

import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { followToSuccess } from '../follow-operation.ts'
import { parseName } from '../names.ts'
import { parseCount } from '../output/sizes.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'

interface RestoreFlags extends WaitFlags {
  bringBack?: boolean
  parallel?: number
}

export function register(group: Command): void {
  const command = defineCommand(group, 'restore', {
    summary: 'take an evacuated host back into service',
    description: `Opens a host to new containers again. With --bring-back, the containers that its last evacuation moved away are moved
back to it, live; what it has no room for any more stays where it is, and is named.`,
    examples: [
      ['drover host restore a', 'it takes new containers again; none is moved back'],
      ['drover host restore a --bring-back', 'those that left it when it was emptied come back'],
    ],
  })
    .argument('<host>', 'name of the host', parseName)
    .option('--bring-back', 'move back what its last evacuation moved away')
    .option('-p, --parallel <number>', 'how many to move back at once (default: 8)', parseCount(1, 32))
  addWaitOptions(command).action(
    action(async (session, name: string, flags: RestoreFlags) => {
      const client = await session.client()
      const { bringBack, parallel } = flags
      const request = {
        ...(bringBack === undefined ? {} : { bringBack }),
        ...(parallel === undefined ? {} : { parallel }),
      }
      const operation = await followToSuccess(session, await client.restore(name, request), flags)
      const back = bringBack ? `; ${operation.progress.message}` : ''
      session.output.result(operation, () => `host ${name} takes containers again${back}`)
    }),
  )
}

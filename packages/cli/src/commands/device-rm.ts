// `drover device rm`: takes devices away from a container, as it runs.

import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { parseDeviceName } from '../device-words.ts'
import { followMany } from '../follow-many.ts'
import { parseName } from '../names.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'

export function register(group: Command): void {
  const command = defineCommand(group, 'rm', {
    summary: 'take devices away from a container as it runs',
    description:
      'Takes devices away. What has one open keeps it until it closes it; a directory is gone from the container at once.',
    examples: [['drover device rm web kvm data', 'two of them']],
  })
    .argument('<container>', 'name of the container', parseName)
    .argument('<device...>', 'names of devices', (text: string, before: string[] = []) => [
      ...before,
      parseDeviceName(text),
    ])
  addWaitOptions(command).action(
    action(async (session, name: string, devices: string[], flags: WaitFlags) => {
      const client = await session.client()
      return followMany(session, [name], flags, {
        doing: 'changing',
        done: 'changed',
        begin: (each) => client.set(each, { devices: Object.fromEntries(devices.map((device) => [device, null])) }),
      })
    }),
  )
}

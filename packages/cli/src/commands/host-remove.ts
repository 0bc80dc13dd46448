// `drover host remove`: a host leaves the cluster for good.

import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { followToSuccess } from '../follow-operation.ts'
import { parseName } from '../names.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'

interface RemoveFlags extends WaitFlags {
  force?: boolean
}

export function register(group: Command): void {
  const command = defineCommand(group, 'remove', {
    summary: 'remove a host from the cluster for good',
    description: `Takes a host out of the cluster. Refused while containers are there: \`drover host evacuate\` moves them away; and while an image
is on no other host. Of a host that is dead (\`drover host lost HOST --i-am-sure\`) --force forgets the containers, too: their disks and
snapshots are lost, their names and addresses free again. What was lost is named. Whatever its agent says later is not listened to, and it is given nothing; it joins again by a new token only.
On the machine itself \`drover down\` stops what runs. What it knows (the cluster secret) it still knows: see docs/security.md.`,
    examples: [
      ['drover host evacuate b && drover host remove b', 'empty it, then let it go'],
      ['drover host remove b --force', 'with the images that only it has'],
      ['drover host lost b --i-am-sure && drover host remove b --force', 'it is dead: forget it and its containers'],
    ],
  })
    .argument('<host>', 'name of the host', parseName)
    .option('--force', 'also when images are on no other host, or it is dead and has containers: they are lost')
  addWaitOptions(command).action(
    action(async (session, name: string, flags: RemoveFlags) => {
      const client = await session.client()
      const operation = await followToSuccess(
        session,
        await client.removeHost(name, { force: flags.force === true }),
        flags,
      )
      session.output.result(operation, () => {
        const lost = operation.progress.message.replace(/^removed(; )?/, '')
        return `host ${name} was removed${lost === '' ? '; on the machine itself: drover down' : `; ${lost}`}`
      })
    }),
  )
}

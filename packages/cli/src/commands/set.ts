// `drover set`: other limits for a container, as it runs.

import type { SetRequest } from '@drover/protocol'
import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { followMany } from '../follow-many.ts'
import { describeSettings, parseSetting } from '../limit-settings.ts'
import { parseName } from '../names.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'

export function register(program: Command): void {
  const command = defineCommand(program, 'set', {
    summary: 'change limits and restart policy of a container as it runs',
    description: `Changes what a container may use at most, without a restart. It moves with the container. What a host can't do is
refused with the reason, and then nothing is changed. The value none takes a limit away.

Keys:
${describeSettings()}`,
    examples: [
      ['drover set web-1 memory=512MiB cpu=1.5', 'at most 512 MiB and one and a half cores'],
      ['drover set web-1 network.rate=100mbit', '100 Mbit/s each way'],
      ['drover set web-1 network.ingress=50mbit network.mtu=1400', 'what comes in alone; smaller packets'],
      [
        'drover set web-1 sysctl.net.ipv4.tcp_keepalive_time=600 rlimit.nofile=65536',
        'settings of the kernel for it alone',
      ],
      ['drover set web-1 cpu=none cpuset=0-1', 'no cap, but only the first two cores'],
    ],
  })
    .argument('<container>', 'name of the container', parseName)
    .argument('<key=value...>', 'what to change', parseSetting)
  addWaitOptions(command).action(
    action(async (session, name: string, change: SetRequest, flags: WaitFlags) => {
      const client = await session.client()
      return followMany(session, [name], flags, {
        doing: 'changing',
        done: 'changed',
        begin: (each) => client.set(each, change),
      })
    }),
  )
}

// `drover status`: the cluster at a glance.

import type { ClusterStatus, HostView } from '@drover/protocol'
import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import type { Palette } from '../output/palette.ts'
import { renderFields } from '../output/table.ts'
import { hostTable } from './host-ls.ts'

export function register(program: Command): void {
  defineCommand(program, 'status', {
    summary: 'show the cluster at a glance',
    examples: [
      ['drover status', 'controllers, hosts and how full they are'],
      ['drover status --json', 'for programs: the status, and the hosts as hostList'],
    ],
  }).action(
    action(async ({ output, client }) => {
      const api = await client()
      const [status, hosts] = await Promise.all([api.status(), api.hosts()])
      output.result({ ...status, hostList: hosts }, () => describeStatus(output.palette, status, hosts))
    }),
  )
}

export function describeStatus(palette: Palette, status: ClusterStatus, hosts: readonly HostView[]): string {
  const fields = renderFields(palette, [
    ['cluster', `${palette.bold(status.cluster)} · drover ${status.version}`],
    ['controllers', describeControllers(palette, status)],
    ['hosts', `${share(palette, status.hostsReady, status.hosts)} ready`],
    ['containers', `${share(palette, status.containersRunning, status.containers)} running`],
    ['operations', status.operationsRunning === 0 ? 'none under way' : `${status.operationsRunning} under way`],
  ])
  return hosts.length === 0 ? fields : `${fields}\n\n${hostTable(palette, hosts)}`
}

function describeControllers(palette: Palette, status: ClusterStatus): string {
  const names = status.controllers.map(({ name, leader }) => (leader ? `${palette.green(name)} (leader)` : name))
  return status.leader === null ? `${names.join(' · ')} · ${palette.red('no leader')}` : names.join(' · ')
}

function share(palette: Palette, part: number, whole: number): string {
  const text = `${part} of ${whole}`
  return part === whole ? text : palette.yellow(text)
}

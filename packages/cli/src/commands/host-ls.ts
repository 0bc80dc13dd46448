// `drover host ls`: the hosts, and how full they are.

import type { HostView } from '@drover/protocol'
import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { fillBar, shareOf } from '../output/bars.ts'
import { formatAge } from '../output/durations.ts'
import { type Palette, paintState } from '../output/palette.ts'
import { formatBytes, formatCpu } from '../output/sizes.ts'
import { renderTable } from '../output/table.ts'
import { byName } from './ls.ts'

export function register(group: Command): void {
  defineCommand(group, 'ls', {
    summary: 'list hosts and how full they are',
    examples: [
      ['drover host ls', 'what containers ask for on each, against what it has'],
      ['drover host ls -q', 'names only'],
    ],
  })
    .alias('list')
    .option('-q, --quiet', 'print names only')
    .action(
      action(async ({ output, client }, flags: { quiet?: boolean }) => {
        const hosts = (await (await client()).hosts()).sort(byName)
        if (output.json) return output.document(hosts)
        if (flags.quiet) {
          for (const { name } of hosts) output.line(name)
          return
        }
        if (hosts.length === 0) return output.note('no host has joined yet; this machine as one: drover up')
        output.line(hostTable(output.palette, hosts))
      }),
    )
}

const barWidth = 10

export function hostTable(palette: Palette, hosts: readonly HostView[]): string {
  const nowMs = Date.now()
  return renderTable(
    palette,
    [
      { header: 'HOST', value: ({ name }) => palette.bold(name) },
      { header: 'STATUS', value: (host) => describeHostStatus(palette, host, nowMs) },
      { header: 'CONTAINERS', align: 'right', value: ({ containers }) => String(containers) },
      {
        header: 'MEMORY',
        value: ({ requested, capacity }) => fill(palette, requested.memoryBytes, capacity.memoryBytes, formatBytes),
      },
      {
        header: 'CPU',
        value: ({ requested, capacity }) => fill(palette, requested.cpuMilli, capacity.cpuMilli, formatCpu),
      },
      { header: 'LIVE MOVES', value: ({ features }) => (features.criu.usable ? 'yes' : palette.yellow('no')) },
      { header: 'ADDRESS', value: ({ address }) => address },
    ],
    hosts,
  )
}

export function describeHostStatus(palette: Palette, host: HostView, nowMs: number): string {
  const status = paintState(palette, host.status)
  if (host.status !== 'silent' && host.status !== 'lost') return status
  return `${status} ${formatAge(host.lastSeenMs, nowMs)}`
}

/** `███░░░░░░░ 1.5 GiB of 4 GiB`; the full bars of several hosts compare at a glance. */
export function fill(palette: Palette, part: number, whole: number, format: (value: number) => string): string {
  return `${fillBar(palette, shareOf(part, whole), barWidth)} ${format(part)} of ${format(whole)}`
}

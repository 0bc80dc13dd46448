// `drover ls`: the containers of the cluster, one line each.

import type { DroverClient } from '@drover/client'
import type { Container } from '@drover/protocol'
import type { Command } from 'commander'
import { usageOf } from '../container-usage.ts'
import { action, defineCommand } from '../define-command.ts'
import { parseName, parsePair } from '../names.ts'
import {
  type ColumnName,
  columnNames,
  columnsOf,
  needsUsage,
  parseColumns,
  shownState,
  usualColumns,
} from '../output/container-columns.ts'
import type { Palette } from '../output/palette.ts'
import { renderTable } from '../output/table.ts'

interface ListFlags {
  host?: string
  state?: string
  label?: Record<string, string>
  quiet?: boolean
  columns?: ColumnName[]
}

export function register(program: Command): void {
  defineCommand(program, 'ls', {
    summary: 'list containers',
    description: `Lists containers. CPU and MEMORY are what each may use at most; what it asks for, by which it is placed, is cpu-request and
memory-request. With the columns used and processes each running one is asked what it has at the moment; \`drover top\` shows rates.`,
    examples: [
      ['drover ls', 'all of them'],
      ['drover ls --host a --state running', 'those that run on host a'],
      ['drover ls --columns name,used,memory,up', 'what each uses, and may use'],
      ['drover stop $(drover ls -q --label team=blue)', 'names only, for other commands'],
    ],
  })
    .alias('list')
    .option('--host <host>', 'only those on this host', parseName)
    .option('--state <state>', 'only those in this state: running, stopped, preempted, frozen, migrating, failed, …')
    .option('-l, --label <KEY=VALUE>', 'only those with this label; repeatable', parsePair)
    .option('-c, --columns <names>', `these instead, of ${columnNames.join(', ')}`, parseColumns)
    .option('-q, --quiet', 'print names only')
    .action(
      action(async ({ output, client: connect }, flags: ListFlags) => {
        const client = await connect()
        const all = await client.containers()
        const containers = all.filter((container) => matches(container, flags)).sort(byName)
        if (output.json) return output.document(containers)
        if (flags.quiet) {
          for (const { name } of containers) output.line(name)
          return
        }
        if (containers.length > 0) return output.line(await table(output.palette, client, containers, flags.columns))
        output.note(
          all.length > 0
            ? `none of ${all.length} containers matches`
            : 'no containers yet; make one: drover launch web',
        )
      }),
    )
}

async function table(
  palette: Palette,
  client: DroverClient,
  containers: readonly Container[],
  names: readonly ColumnName[] | undefined,
): Promise<string> {
  if (names === undefined) return containerTable(palette, containers, Date.now())
  const usage = needsUsage(names) ? await usageOf(client, containers) : new Map()
  return renderTable(palette, columnsOf(names, { palette, nowMs: Date.now(), usage }), containers)
}

function matches(container: Container, flags: ListFlags): boolean {
  if (flags.host !== undefined && container.host !== flags.host) return false
  if (flags.state !== undefined && ![container.state, shownState(container)].includes(flags.state)) return false
  return Object.entries(flags.label ?? {}).every(([key, value]) => container.spec.labels[key] === value)
}

/** The usual columns; why one is in its state only where that needs saying. */
export function containerTable(palette: Palette, containers: readonly Container[], nowMs: number): string {
  const messages = containers.some(({ message }) => message !== null)
  const names = messages ? [...usualColumns, 'why' as const] : usualColumns
  return renderTable(palette, columnsOf(names, { palette, nowMs, usage: new Map() }), containers)
}

const collator = new Intl.Collator('en', { numeric: true })

/** web-2 before web-10. */
export function byName(left: { name: string }, right: { name: string }): number {
  return collator.compare(left.name, right.name)
}

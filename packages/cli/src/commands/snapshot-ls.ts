// `drover snapshot ls`: the snapshots of a container, or of all.

import type { Snapshot } from '@drover/protocol'
import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { parseName } from '../names.ts'
import { formatAge, formatTime } from '../output/durations.ts'
import { formatBytes } from '../output/sizes.ts'
import { renderTable } from '../output/table.ts'

type Listed = Snapshot & { container: string }

export function register(group: Command): void {
  defineCommand(group, 'ls', {
    summary: 'list snapshots',
    examples: [
      ['drover snapshot ls web-1', 'those of web-1, oldest first'],
      ['drover snapshot ls', 'all'],
    ],
  })
    .alias('list')
    .argument('[container]', 'name of the container; default: all', parseName)
    .action(
      action(async ({ output, client }, name: string | undefined) => {
        const api = await client()
        const containers = name === undefined ? await api.containers() : [await api.container(name)]
        const listed = containers.flatMap((container) =>
          (container.snapshots ?? []).map((snapshot): Listed => ({ container: container.name, ...snapshot })),
        )
        if (output.json) return output.document(listed)
        if (listed.length === 0) return output.note(`no snapshots; take one: drover snapshot create ${name ?? 'NAME'}`)
        const { palette } = output
        const columns = [
          { header: 'CONTAINER', value: ({ container }: Listed) => container },
          { header: 'SNAPSHOT', value: (each: Listed) => palette.bold(each.name) },
          { header: 'AGE', align: 'right' as const, value: (each: Listed) => formatAge(each.createdAtMs, Date.now()) },
          { header: 'SIZE', align: 'right' as const, value: (each: Listed) => formatBytes(each.sizeBytes) },
          { header: 'MEMORY', value: (each: Listed) => (each.memory ? 'yes' : '–') },
          {
            header: 'EXPIRES',
            value: ({ expiresAtMs }: Listed) => (expiresAtMs === null ? 'never' : formatTime(expiresAtMs)),
          },
        ]
        output.line(renderTable(palette, columns, listed))
      }),
    )
}

// `drover df`: the file systems of containers, as their hosts see them.

import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { parseNames } from '../names.ts'
import { formatBytes } from '../output/sizes.ts'
import { renderTable } from '../output/table.ts'
import type { Session } from '../session.ts'
import { printable } from './ps.ts'

export function register(program: Command): void {
  defineCommand(program, 'df', {
    summary: 'show how full the file systems of containers are',
    description:
      'Shows the file systems that containers have mounted. The root of a container lies on its host’s disk: its figures are those of that disk.',
    examples: [['drover df web db', 'size, used and free of each file system']],
    json: 'print one JSON array on stdout: {container, path, type, totalBytes, usedBytes, availableBytes} each',
  })
    .argument('<container...>', 'names of the containers', parseNames)
    .action(action(show))
}

async function show({ output, client }: Session, names: string[]): Promise<void> {
  const api = await client()
  const found = await Promise.all(
    names.map(async (container) => {
      const { fileSystems } = await api.inside(container, 'usage', { fileSystems: true })
      return fileSystems.map((fileSystem) => ({ container, ...fileSystem }))
    }),
  )
  const rows = found.flat()
  if (output.json) return output.document(rows)
  output.line(
    renderTable(
      output.palette,
      [
        { header: 'CONTAINER', value: ({ container }) => output.palette.bold(container) },
        { header: 'PATH', value: ({ path }) => printable(path) },
        { header: 'TYPE', value: ({ type }) => type },
        { header: 'SIZE', align: 'right', value: ({ totalBytes }) => formatBytes(totalBytes) },
        { header: 'USED', align: 'right', value: ({ usedBytes }) => formatBytes(usedBytes) },
        { header: 'FREE', align: 'right', value: ({ availableBytes }) => formatBytes(availableBytes) },
        {
          header: 'FULL',
          align: 'right',
          value: ({ usedBytes, totalBytes }) => `${Math.round((100 * usedBytes) / totalBytes)} %`,
        },
      ],
      rows,
    ),
  )
}

// `drover device ls`: the devices of a container, and which of them pin it to its host.

import type { Device } from '@drover/protocol'
import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { describeDevice, whyPinned } from '../device-words.ts'
import { parseName } from '../names.ts'
import { renderTable } from '../output/table.ts'
import type { Session } from '../session.ts'

export function register(group: Command): void {
  defineCommand(group, 'ls', {
    summary: 'list the devices of a container',
    examples: [['drover device ls web', 'with those that pin it to its host']],
    json: 'print one JSON array on stdout: {name, pins, …the device} each; pins is null or the reason',
  })
    .alias('list')
    .argument('<container>', 'name of the container', parseName)
    .action(action(list))
}

async function list({ client, output }: Session, name: string): Promise<void> {
  const container = await (await client()).container(name)
  const rows = Object.entries(container.spec.devices ?? {}).map(([device, each]: [string, Device]) => ({
    name: device,
    pins: whyPinned(device, each),
    ...each,
  }))
  if (output.json) return output.document(rows)
  if (rows.length === 0) return output.note('it has no devices')
  output.line(
    renderTable(
      output.palette,
      [
        { header: 'NAME', value: ({ name: device }) => device },
        { header: 'TYPE', value: ({ type }) => type },
        { header: 'WHAT', value: (row) => describeDevice(row) },
        { header: 'PINS', value: ({ pins }) => output.palette.dim(pins ?? 'no') },
      ],
      rows,
    ),
  )
}

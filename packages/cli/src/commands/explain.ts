// `drover explain`: why a container is where it is, and why it isn't on each other host, in the scheduler's own words.

import type { Placement } from '@drover/protocol'
import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { parseName } from '../names.ts'
import type { Palette } from '../output/palette.ts'
import { renderTable } from '../output/table.ts'

export function register(program: Command): void {
  defineCommand(program, 'explain', {
    summary: 'show why a container was placed where it is',
    examples: [['drover explain web-1', 'the chosen host, and each other one with its score or refusal']],
  })
    .argument('<container>', 'name of the container', parseName)
    .action(
      action(async ({ output, client }, name: string) => {
        const { host, placement } = await (await client()).container(name)
        output.result({ name, host, placement }, () => {
          const moved = host === placement.chosen ? '' : ` (since then it has come to host ${host})`
          const headline = `${output.palette.bold(name)} was placed on host ${output.palette.bold(placement.chosen)}${moved}`
          return `${headline}: ${placement.reason}\n\n${placementTable(output.palette, placement)}`
        })
      }),
    )
}

export function placementTable(palette: Palette, placement: Placement): string {
  return renderTable(
    palette,
    [
      { header: '', value: ({ host }) => (host === placement.chosen ? palette.green('→') : ' ') },
      { header: 'HOST', value: ({ host }) => host },
      {
        header: 'VERDICT',
        value: ({ host, feasible, refusal }) => verdict(palette, host === placement.chosen, feasible, refusal),
      },
      { header: 'FILL', align: 'right', value: ({ score }) => (score === null ? '–' : `${Math.round(score * 100)} %`) },
      { header: 'DETAIL', value: ({ detail }) => palette.dim(detail ?? '') },
    ],
    placement.hosts,
  )
}

function verdict(palette: Palette, chosen: boolean, feasible: boolean, refusal: string | null): string {
  if (chosen) return palette.green('chosen')
  return feasible ? 'would fit' : palette.yellow(refusal ?? 'refused')
}

// `drover explain`: why a container is where it is, and why it isn't on each other host, in the scheduler's own words; or where a
// launch would go that nobody has asked for.

import { readFileSync } from 'node:fs'
import type { ContainerExplanation, ExplainRequest, LaunchExplanation, Placement } from '@drover/protocol'
import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { UsageError } from '../failure.ts'
import { parseName } from '../names.ts'
import { formatTime } from '../output/durations.ts'
import type { Palette } from '../output/palette.ts'
import { renderTable } from '../output/table.ts'

interface ExplainFlags {
  spec?: string
}

export function register(program: Command): void {
  defineCommand(program, 'explain', {
    summary: 'show why a container was placed where it is, or where one would go',
    description: `Shows why a container was placed where it is and where it would go now, each host with its score or the rule that refuses
it. With --spec it says the same of a launch that nobody has asked for (a JSON file with the fields of the API's launch:
memoryBytes, cpuMilli, host, scheduling …; - reads standard input), and, where nothing fits, who would have to move, or to be stopped.`,
    examples: [
      ['drover explain web-1', 'the chosen host, and each other one with its score or refusal'],
      ['drover explain --spec big.json', 'what if: launches nothing'],
      ['echo \'{"memoryBytes":8589934592}\' | drover explain --spec -', 'does 8 GiB fit anywhere?'],
    ],
  })
    .argument('[container]', 'name of the container', parseName)
    .option('--spec <file>', 'where would this launch go?')
    .action(
      action(async ({ output, client }, name: string | undefined, flags: ExplainFlags) => {
        if ((name === undefined) === (flags.spec === undefined)) {
          throw new UsageError('name a container, or a launch with --spec FILE, and not both')
        }
        if (name !== undefined) {
          const explained = await (await client()).explain(name)
          const { host, placed } = explained
          return output.result({ ...explained, placement: placed }, () =>
            describeContainer(output.palette, explained, host),
          )
        }
        const explained = await (await client()).explainLaunch(readSpec(flags.spec!))
        output.result(explained, () => describeLaunch(output.palette, explained))
      }),
    )
}

function readSpec(file: string): ExplainRequest {
  let text: string
  try {
    text = readFileSync(file === '-' ? 0 : file, 'utf8')
  } catch (error) {
    throw new UsageError(`--spec ${file}: ${(error as Error).message}`)
  }
  try {
    return JSON.parse(text) as ExplainRequest
  } catch (error) {
    throw new UsageError(`--spec ${file}: it is not JSON: ${(error as Error).message}`)
  }
}

function describeContainer(
  palette: Palette,
  { name, placed, now, lastMove, preempted }: ContainerExplanation,
  host: string,
): string {
  const moved = host === placed.chosen ? '' : ` (since then it has come to host ${host})`
  const headline = `${palette.bold(name)} was placed on host ${palette.bold(placed.chosen)}${moved}: ${placed.reason}`
  const last =
    lastMove === null
      ? []
      : [`last moved ${formatTime(lastMove.atMs)} from ${lastMove.from} to ${lastMove.to}: ${lastMove.reason}`]
  const today =
    now.chosen === host
      ? `placed now, it would go to ${host} as well: ${now.reason}`
      : now.chosen === ''
        ? `placed now, ${now.reason}`
        : `placed now, it would go to ${palette.bold(now.chosen)}: ${now.reason}`
  const waits = preempted === undefined ? [] : [palette.yellow(preempted)]
  return [
    headline,
    ...waits,
    ...last,
    '',
    placementTable(palette, placed),
    '',
    today,
    '',
    placementTable(palette, now),
  ].join('\n')
}

export function describeLaunch(palette: Palette, { host, placement, room }: LaunchExplanation): string {
  const headline =
    host === null ? palette.yellow(placement.reason) : `it would go to ${palette.bold(host)}: ${placement.reason}`
  return [`${headline}\n`, placementTable(palette, placement), ...(room === null ? [] : [`\n${room.reason}`])].join(
    '\n',
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

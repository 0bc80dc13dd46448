// `drover preflight`: whether a container could move live now, and if not: which process, which object, which host, and what would
// work instead. Nothing is stopped.

import type { Preflight } from '@drover/protocol'
import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { exitCodes } from '../failure.ts'
import { parseName } from '../names.ts'
import type { Palette } from '../output/palette.ts'
import { renderTable } from '../output/table.ts'

export function register(program: Command): void {
  defineCommand(program, 'preflight', {
    summary: 'show whether a container could move live, and why not',
    description:
      'Looks at the container’s processes and compares the hosts, without stopping anything. A live move asks the same and refuses by the same words. Exit code 1 when it could not move live.',
    examples: [
      ['drover preflight web-1', 'to any host'],
      ['drover preflight web-1 b', 'to host b'],
    ],
  })
    .argument('<container>', 'name of the container', parseName)
    .argument('[host]', 'where it would go; else every other host is looked at', parseName)
    .action(
      action(async ({ output, client }, name: string, host: string | undefined) => {
        const verdict = await (await client()).preflight(name, host ?? null)
        output.result(verdict, () => describePreflight(output.palette, verdict))
        return verdict.live ? exitCodes.ok : exitCodes.failed
      }),
    )
}

function describePreflight(palette: Palette, verdict: Preflight): string {
  const { container, host, live, findings, warnings = [], hosts, fallback } = verdict
  const headline = `${palette.bold(container)} on host ${host}: ${verdictIn(palette, live)}`
  const found = findings.map(
    ({ message, passing }) => `  ${palette.yellow('!')} ${message}${passing ? ' (passes by itself)' : ''}`,
  )
  const warned = warnings.map(({ message }) => `  ${palette.dim('·')} ${message}`)
  const alone = !live && findings.length === 0 && hosts.length === 0
  const table = renderTable(
    palette,
    [
      { header: 'HOST', value: (each) => each.host },
      { header: 'LIVE', value: (each) => (each.live ? palette.green('yes') : palette.yellow('no')) },
      { header: 'WHY', value: (each) => [...each.obstacles, ...each.notes].join('; ') },
    ],
    hosts,
  )
  return [
    headline,
    ...found,
    ...warned,
    ...(alone ? [`  ${palette.yellow('!')} there is no other host`] : []),
    ...(hosts.length > 0 ? ['', table] : []),
    ...(fallback && !alone ? ['', `instead: ${fallback}`] : []),
  ].join('\n')
}

const verdictIn = (palette: Palette, live: boolean): string =>
  live ? palette.green('it can move live') : palette.yellow('it can’t move live now')

/** One line for `drover info`. */
export function summarizePreflight(palette: Palette, verdict: Preflight): string {
  const { live, findings, warnings = [], hosts, fallback } = verdict
  if (live) {
    const targets = hosts.filter((each) => each.live).map(({ host }) => host)
    const but = warnings.map(({ message }) => `; ${message}`).join('')
    return `${palette.green('can move live')} to ${targets.join(', ')}${but}`
  }
  const why =
    findings.find(({ passing }) => !passing)?.message ??
    hosts.flatMap(({ host, obstacles }) => obstacles.map((obstacle) => `${host}: ${obstacle}`)).join('; ')
  return `${palette.yellow('can’t move live')}: ${why || 'there is no other host'}${fallback ? `; ${fallback}` : ''}`
}

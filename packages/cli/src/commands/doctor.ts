// `drover doctor`: what this machine has of what drover needs, and what to do about the rest.

import type { Command } from 'commander'
import { examine, type Finding } from '../daemons/index.ts'
import { action, defineCommand } from '../define-command.ts'
import { exitCodes } from '../failure.ts'
import type { Palette } from '../output/palette.ts'
import { renderTable } from '../output/table.ts'

export function register(program: Command): void {
  defineCommand(program, 'doctor', {
    summary: 'examine this machine: what works, what is missing, what to do',
    description:
      'Examine this machine: kernel, tools, the chosen CRIU and the limits that bite at density.\n' +
      'Changes nothing. Exit code 1 when something that containers need is missing.',
    examples: [
      ['drover doctor', 'everything, with advice'],
      ['drover doctor --data /srv/drover', 'with the disk where a cluster of this machine is to keep its data'],
      ['drover doctor --json', 'for programs'],
    ],
  })
    .option('--data <directory>', 'where everything is or will be kept, as of `drover up`; it need not be there yet')
    .action(
      action(async (session, { data }: { data?: string }) => {
        const findings = examine(data)
        session.output.result(findings, () => render(session.output.palette, findings))
        return findings.some((finding) => finding.status === 'fail') ? exitCodes.failed : exitCodes.ok
      }),
    )
}

function render(palette: Palette, findings: Finding[]): string {
  const paint = { ok: palette.green, warn: palette.yellow, fail: palette.red }
  const table = renderTable(
    palette,
    [
      { header: '', value: ({ status }) => paint[status](status) },
      { header: 'WHAT', value: ({ name }) => name },
      { header: 'FOUND', value: ({ value }) => value },
    ],
    findings,
  )
  const advice = findings.filter((finding) => finding.advice !== null)
  if (advice.length === 0) return table
  return [table, '', 'To do:', ...advice.map((finding) => `  ${finding.name}: ${finding.advice}`)].join('\n')
}

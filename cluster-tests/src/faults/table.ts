// The outcomes as the table in docs/faults.md: a column for each point, a row for each part and what happens to it.

import { faultPoints } from '@drover/agent'
import type { CaseOutcome } from './run-case.ts'

const begin = '<!-- table: npm run faults -- --write -->'
const end = '<!-- end of table -->'

export function faultTable(outcomes: readonly CaseOutcome[]): string {
  const rows = [...new Set(outcomes.map(({ fault }) => row(fault)))]
  const columns = faultPoints.filter((point) => outcomes.some(({ fault }) => fault.point === point))
  const cell = (name: string, point: string) =>
    summary(outcomes.filter(({ fault }) => fault.point === point && row(fault) === name))
  return [
    `| | ${columns.join(' | ')} |`,
    `|---|${columns.map(() => '---').join('|')}|`,
    ...rows.map((name) => `| ${name} | ${columns.map((point) => cell(name, point)).join(' | ')} |`),
    '',
    counts(outcomes),
  ].join('\n')
}

export function withTable(page: string, outcomes: readonly CaseOutcome[]): string {
  const from = page.indexOf(begin)
  const to = page.indexOf(end)
  if (from < 0 || to < from) throw new Error(`docs/faults.md lacks the lines ${begin} and ${end}`)
  return `${page.slice(0, from + begin.length)}\n\n${faultTable(outcomes)}\n\n${page.slice(to)}`
}

const row = ({ victim, harm }: CaseOutcome['fault']) => `${harm} ${victim}`

/** `done 3` or `done 1, aborted 2`; what went wrong is never hidden behind it. */
function summary(outcomes: readonly CaseOutcome[]): string {
  const kinds = ['done', 'aborted'].flatMap((kind) => {
    const n = outcomes.filter(({ outcome, problems }) => problems.length === 0 && outcome.startsWith(kind)).length
    return n === 0 ? [] : [`${kind} ${n}`]
  })
  const wrong = outcomes.filter(({ problems }) => problems.length > 0).length
  return [...kinds, ...(wrong === 0 ? [] : [`**wrong ${wrong}**`])].join(', ')
}

function counts(outcomes: readonly CaseOutcome[]): string {
  const count = (pattern: RegExp) =>
    outcomes.filter(({ problems }) => problems.some((problem) => pattern.test(problem))).length
  const wrong = outcomes.filter(({ problems }) => problems.length > 0).length
  return (
    `${outcomes.length} moves; ${wrong} wrong: lost or not whole ${count(/gone|no host|connection lost|started again|disk/)}, ` +
    `running twice ${count(/processes on .*,/)}, something left behind ${count(/left behind/)}, operation not ended ${count(/to end/)}.`
  )
}

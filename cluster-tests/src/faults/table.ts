// The outcomes as the tables of docs/faults.md: the points of the agents are columns, the steps of the engines rows. A run of some
// cases changes their cells, and leaves the others as they are.

import type { FaultCase } from './cases.ts'
import { agentPoints, enginePoints, isEnginePoint } from './points.ts'
import type { CaseOutcome } from './run-case.ts'

const begin = '<!-- table: npm run faults -- --write -->'
const end = '<!-- end of table -->'

/** What its cell says, by row and column. */
type Cells = Map<string, Map<string, string>>

export function faultTables(
  outcomes: readonly CaseOutcome[],
  before: Cells = new Map(),
  add = false,
  codeState: string | null = null,
): string {
  const cells: Cells = new Map([...before].map(([row, columns]) => [row, new Map(columns)]))
  const byCase = new Map<string, CaseOutcome[]>()
  for (const outcome of outcomes) {
    const { row, column } = placeOf(outcome.fault)
    const key = JSON.stringify([row, column])
    byCase.set(key, [...(byCase.get(key) ?? []), outcome])
  }
  for (const [key, list] of byCase) {
    const [row, column] = JSON.parse(key) as [string, string]
    const columns = cells.get(row) ?? new Map<string, string>()
    cells.set(row, columns.set(column, summary(list, add ? columns.get(column) : '')))
  }
  const steps: readonly string[] = enginePoints
  const rows = [...cells.keys()]
  return [
    ...table(
      cells,
      '',
      rows.filter((row) => !steps.includes(row)),
      agentPoints,
    ),
    ...table(
      cells,
      'step of an engine',
      steps.filter((step) => cells.has(step)),
      columnsOfSteps,
    ),
    `${counts(cells)}${codeState === null || outcomes.length === 0 ? '' : ` The last ${outcomes.length} on commit ${codeState}.`}`,
    ...wrongOnes(outcomes),
  ].join('\n')
}

/** `add`: to what its cells say; else in their place. */
export function withTables(
  page: string,
  outcomes: readonly CaseOutcome[],
  add = false,
  codeState: string | null = null,
): string {
  const { from, to } = placeOfTables(page)
  const tables = faultTables(outcomes, cellsOf(page.slice(from, to)), add, codeState)
  return `${page.slice(0, from)}\n\n${tables}\n\n${page.slice(to)}`
}

/** How often the page's tables say that the case was run. */
export function outcomesOf(page: string, fault: FaultCase): number {
  const { from, to } = placeOfTables(page)
  const { row, column } = placeOf(fault)
  const cell = cellsOf(page.slice(from, to)).get(row)?.get(column) ?? ''
  return [...cell.matchAll(/\d+/g)].reduce((sum, [number]) => sum + Number(number), 0)
}

function placeOfTables(page: string) {
  const from = page.indexOf(begin)
  const to = page.indexOf(end)
  if (from < 0 || to < from) throw new Error(`docs/faults.md lacks the lines ${begin} and ${end}`)
  return { from: from + begin.length, to }
}

const columnsOfSteps = ['kill engine', 'kill criu', 'kill agent', 'cancel move']

const placeOf = ({ point, victim, harm }: FaultCase) =>
  isEnginePoint(point)
    ? { row: point as string, column: `${harm} ${victim.split(' ').at(-1)}` }
    : { row: `${harm} ${victim}`, column: point as string }

function table(cells: Cells, corner: string, rows: readonly string[], all: readonly string[]): string[] {
  if (rows.length === 0) return []
  const columns = all.filter((column) => rows.some((row) => cells.get(row)?.has(column)))
  const line = (row: string) => columns.map((column) => cells.get(row)?.get(column) ?? '').join(' | ')
  return [
    `| ${corner} | ${columns.join(' | ')} |`,
    `|---|${columns.map(() => '---').join('|')}|`,
    ...rows.map((row) => `| ${row} | ${line(row)} |`),
    '',
  ]
}

/** The cells of tables that were written earlier. */
function cellsOf(text: string): Cells {
  const cells: Cells = new Map()
  let columns: string[] = []
  let heading = true
  for (const line of text.split('\n')) {
    if (!line.startsWith('|')) {
      heading = true
      continue
    }
    const [first = '', ...rest] = line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim())
    if (heading) columns = rest
    else if (!first.startsWith('---')) {
      cells.set(first, new Map(columns.map((column, index): [string, string] => [column, rest[index] ?? ''])))
    }
    heading = false
  }
  return cells
}

/** `done 3` or `done 1, aborted 2`, with those of an earlier cell; what went wrong is never hidden behind it. */
function summary(outcomes: readonly CaseOutcome[], earlier = ''): string {
  const kindOf = ({ outcome, problems }: CaseOutcome) => (problems.length > 0 ? 'wrong' : outcome.split(':')[0])
  const count = (kind: string) =>
    outcomes.filter((each) => kindOf(each) === kind).length +
    Number(new RegExp(`${kind} (\\d+)`).exec(earlier)?.[1] ?? 0)
  return ['done', 'aborted', 'wrong']
    .map((kind) => ({ kind, n: count(kind) }))
    .filter(({ n }) => n > 0)
    .map(({ kind, n }) => (kind === 'wrong' ? `**wrong ${n}**` : `${kind} ${n}`))
    .join(', ')
}

/** Of all cells, whenever they were run. */
function counts(cells: Cells): string {
  const text = [...cells.values()].flatMap((columns) => [...columns.values()]).join(', ')
  const sum = (pattern: RegExp) => [...text.matchAll(pattern)].reduce((total, match) => total + Number(match[1]), 0)
  return `${sum(/(?:done|aborted|wrong) (\d+)/g)} moves, ${sum(/wrong (\d+)/g)} of them wrong.`
}

/** What that is. */
function wrongOnes(outcomes: readonly CaseOutcome[]): string[] {
  const count = (pattern: RegExp) =>
    outcomes.filter(({ problems }) => problems.some((problem) => pattern.test(problem))).length
  const wrong = outcomes.filter(({ problems }) => problems.length > 0).length
  if (wrong === 0) return []
  return [
    `Of the last run: lost or not whole ${count(/gone|no host|connection lost|started again|disk|memory/)}, ` +
      `running twice ${count(/processes on .*,/)}, something left behind ${count(/left behind/)}, operation not ended ${count(/to end/)}.`,
  ]
}

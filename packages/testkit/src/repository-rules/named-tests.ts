// The comparison in docs/containers.md names tests. Each of them must be there under that title, and what is said to work must name
// one, so that the table can't promise what nobody checks any more.

import type { SourceFile, Violation } from './source-file.ts'

export const comparisonPath = 'docs/containers.md'

const verdicts = ['works', 'differs', 'not', 'not yet']

/** `folder/file` “title”, “another title” */
const reference = /`([a-z-]+)\/([a-z0-9-]+)`((?:,? “[^”]*”)*)/g

export function namedTestViolations(files: readonly SourceFile[]): Violation[] {
  const comparison = files.find(({ path }) => path === comparisonPath)
  if (!comparison) return []
  return rowsOf(comparison.text).flatMap(({ line, cells }) =>
    faultsOf(cells, files).map((message) => ({ rule: 'named tests', path: `${comparisonPath}:${line}`, message })),
  )
}

function faultsOf(cells: string[], files: readonly SourceFile[]): string[] {
  const [what, verdict = '', , shownBy = ''] = cells
  if (cells.length !== 4) return [`${what}: a row has four cells, not ${cells.length}`]
  if (!verdicts.includes(verdict)) return [`${what}: “${verdict}” is none of ${verdicts.join(', ')}`]
  const references = [...shownBy.matchAll(reference)]
  const faults = references.flatMap(([, folder, stem, titles]) => faultsOfTest(folder!, stem!, titles!, files))
  if (verdict === 'works' && references.length === 0) faults.push(`${what}: works, but names no test`)
  return faults
}

function faultsOfTest(folder: string, stem: string, quoted: string, files: readonly SourceFile[]): string[] {
  const path = `${folder === 'stories' ? 'cluster-tests' : `packages/${folder}`}/test/${stem}.test.ts`
  const file = files.find((each) => each.path === path)
  if (!file) return [`${path} is not there`]
  const titles = [...quoted.matchAll(/“([^”]*)”/g)].map(([, title]) => title!)
  if (titles.length === 0) return [`${path}: the title of a test is missing`]
  return titles
    .filter((title) => !["'", '`', '"'].some((mark) => file.text.includes(`${mark}${title}${mark}`)))
    .map((title) => `${path} has no test “${title}”`)
}

/** Rows of tables without their headings. A bar that is meant is written `\|`. */
function rowsOf(text: string): { line: number; cells: string[] }[] {
  const lines = text.split('\n')
  return lines.flatMap((row, index) => {
    if (!row.startsWith('|') || row.startsWith('|--') || lines[index + 1]?.startsWith('|--')) return []
    const cells = row.split(/(?<!\\)\|/).slice(1, -1)
    return [{ line: index + 1, cells: cells.map((cell) => cell.trim()) }]
  })
}

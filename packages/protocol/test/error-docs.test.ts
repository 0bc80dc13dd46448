// docs/errors.md and the closed list of codes say the same, both ways.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DroverError, type ErrorCode, errorCodes } from '@drover/protocol'
import t from 'tap'

const document = readFileSync(join(import.meta.dirname, '..', '..', '..', 'docs', 'errors.md'), 'utf8')
const sections = new Map(
  document
    .split(/^## /m)
    .slice(1)
    .map((section) => [section.slice(0, section.indexOf('\n')), section] as const),
)

t.test('every code has a section, and every section a code', async (t) => {
  t.same([...sections.keys()].sort(), Object.keys(errorCodes).sort())
})

t.test('each section gives the code’s status, meaning and whether it is retryable, and says what to do', async (t) => {
  for (const [code, { status, meaning }] of Object.entries(errorCodes)) {
    const section = sections.get(code) ?? ''
    const retryable = new DroverError(code as ErrorCode, '').retryable ? ', retryable' : ''
    t.ok(
      section.includes(`\nHTTP ${status}${retryable}: ${meaning}.\n`),
      `${code}: HTTP ${status}${retryable}: ${meaning}.`,
    )
    t.match(section, /\nWhat to do: \S+( \S+){3,}/, code)
  }
})

// Tables, bars, the status line, and descriptions: what a person sees, as text.

import { PassThrough } from 'node:stream'
import t from 'tap'
import { lastLines } from '../src/commands/logs.ts'
import { expandNames } from '../src/names.ts'
import { bar } from '../src/output/bars.ts'
import { describePhase, listFigures, median, phasesBehind } from '../src/output/migration.ts'
import { makePalette } from '../src/output/palette.ts'
import { StatusLine } from '../src/output/status-line.ts'
import { renderFields, renderTable } from '../src/output/table.ts'
import { moveOperation } from './resources.ts'

const plain = makePalette(false, {})

t.test('a table has no frame, aligned columns and nothing behind the last one', async (t) => {
  const rows = [
    { name: 'web-1', size: '64 MiB', note: '' },
    { name: 'a-longer-name', size: '1 GiB', note: 'two\nlines' },
  ]
  const table = renderTable(
    plain,
    [
      { header: 'NAME', value: ({ name }) => name },
      { header: 'SIZE', align: 'right', value: ({ size }) => size },
      { header: 'NOTE', value: ({ note }) => note },
    ],
    rows,
  )
  t.equal(
    table,
    ['NAME             SIZE  NOTE', 'web-1          64 MiB', 'a-longer-name   1 GiB  two lines'].join('\n'),
  )
})

t.test('fields leave out what is null', async (t) => {
  t.equal(
    renderFields(plain, [
      ['name', 'web-1'],
      ['gateway', null],
      ['up', '3m'],
    ]),
    'name  web-1\nup    3m',
  )
})

t.test('colours need a terminal or FORCE_COLOR, and NO_COLOR wins', async (t) => {
  const coloured = (tty: boolean, environment: NodeJS.ProcessEnv) => makePalette(tty, environment).red('x') !== 'x'
  t.equal(coloured(true, {}), true)
  t.equal(coloured(false, {}), false)
  t.equal(coloured(true, { NO_COLOR: '1' }), false)
  t.equal(coloured(false, { FORCE_COLOR: '1' }), true)
  t.equal(coloured(true, { NO_COLOR: '1', FORCE_COLOR: '1' }), false)
  t.equal(coloured(true, { TERM: 'dumb' }), false)
})

t.test('a bar shows a little as something and almost all as not all', async (t) => {
  t.equal(bar(0, 4), '░░░░')
  t.equal(bar(0.01, 4), '█░░░')
  t.equal(bar(0.99, 4), '███░')
  t.equal(bar(1, 4), '████')
  t.equal(bar(7, 4), '████')
})

t.test('phases that are behind a move have their lengths, tidying up is not shown', async (t) => {
  const lines = phasesBehind(moveOperation()).map((each) => describePhase(plain, each))
  t.match(lines, [/✓ preparing +41 ms/, /✓ precopying +12 ms/, /✓ switching +88 ms/, /✓ committed +it runs/])
  const { migration } = moveOperation()
  const half = moveOperation({ migration: { ...migration!, phase: 'switching', figures: { phase_preparing_ms: 41 } } })
  t.same(phasesBehind(half), [
    { phase: 'preparing', ms: 41 },
    { phase: 'precopying', ms: null },
  ])
})

t.test('figures are listed by name with their units, stamps of clocks left out', async (t) => {
  t.same(listFigures({ blackout_ms: 61.7, bytes: 2 ** 20, frozenAtNs: 1e18, tries: 2 }), [
    ['blackout', '62 ms'],
    ['bytes', '1 MiB'],
    ['tries', '2'],
  ])
  t.equal(median([]), null)
  t.equal(median([9, 1, 5]), 5)
  t.equal(median([4, 1, 2, 3]), 2.5)
})

t.test('the last lines of a log, with or without a newline at its end', async (t) => {
  const last = (log: string, count: number) => lastLines(Buffer.from(log), count).toString()
  t.equal(last('a\nb\nc\n', 2), 'b\nc\n')
  t.equal(last('a\nb\nc', 2), 'b\nc')
  t.equal(last('a\nb\n', 5), 'a\nb\n')
  t.equal(last('a\n\n\n', 2), '\n\n')
  t.equal(last('a\nb\n', 0), '')
  t.equal(last('', 3), '')
})

t.test('names are numbered by --count, and none comes twice', async (t) => {
  t.same(expandNames(['web'], 3), ['web-1', 'web-2', 'web-3'])
  t.same(expandNames(['a', 'b'], undefined), ['a', 'b'])
  t.throws(() => expandNames(['a', 'b'], 2), { name: 'UsageError', message: /one name/ })
  t.throws(() => expandNames(['a', 'a'], undefined), { message: /twice/ })
  t.throws(() => expandNames(['a'.repeat(62)], 10), { message: /too long/ })
})

function captured(isTTY: boolean, environment: NodeJS.ProcessEnv = {}) {
  const stderr = Object.assign(new PassThrough(), { isTTY, columns: 40 })
  const streams = { stdin: new PassThrough(), stdout: new PassThrough(), onSignal: () => () => {} }
  return { line: new StatusLine({ ...streams, stderr, environment }, false), text: () => String(stderr.read() ?? '') }
}

t.test('without a terminal each new text is one plain line', async (t) => {
  const { line, text } = captured(false)
  line.show('a')
  line.show('a')
  line.show('\u001b[31mb\u001b[0m')
  line.show('redrawn only', null)
  line.clear()
  t.equal(text(), 'a\nb\n')
})

t.test('on a terminal it is redrawn in place, cut to the width, and gone at the end', async (t) => {
  const { line, text } = captured(true, { NO_COLOR: '1' })
  line.show('x'.repeat(100))
  let drawn = ''
  while (!drawn.includes('…')) {
    await new Promise((resolve) => setImmediate(resolve))
    drawn += text()
  }
  line.above(() => {})
  line.clear()
  drawn += text()
  const shown = drawn.split('\r\u001b[K').find((each) => each !== '') ?? ''
  t.equal(shown.length, 39)
  t.ok(drawn.endsWith('\r\u001b[K'))
})

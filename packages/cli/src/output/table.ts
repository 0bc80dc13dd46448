// Tables without frames: columns aligned, headers quiet, numbers to the right. They read well and survive `grep` and `awk`.

import Table from 'cli-table3'
import type { Palette } from './palette.ts'

export interface Column<Row> {
  header: string
  align?: 'left' | 'right'
  value: (row: Row) => string
}

export function renderTable<Row>(palette: Palette, columns: readonly Column<Row>[], rows: readonly Row[]): string {
  return renderGrid(
    columns.map(({ align }) => align ?? 'left'),
    [
      columns.map(({ header }) => palette.dim(header)),
      ...rows.map((row) => columns.map(({ value }) => value(row).replace(/\s*\n\s*/g, ' '))),
    ],
  )
}

/** `key  value` lines; an entry whose value is null is left out. */
export function renderFields(palette: Palette, fields: readonly (readonly [string, string | null])[]): string {
  const shown = fields.filter((field): field is [string, string] => field[1] !== null)
  return renderGrid(
    ['left', 'left'],
    shown.map(([key, value]) => [palette.dim(key), value]),
  )
}

function renderGrid(colAligns: ('left' | 'right')[], rows: string[][]): string {
  if (rows.length === 0) return ''
  const table = new Table({
    chars: noFrame,
    style: { 'padding-left': 0, 'padding-right': 2, head: [], border: [] },
    colAligns,
  })
  table.push(...rows)
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')
}

const noFrame = Object.fromEntries(
  [
    ...['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right'],
    ...['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid', 'middle'],
  ].map((name) => [name, '']),
)

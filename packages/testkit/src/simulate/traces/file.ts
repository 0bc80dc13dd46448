// A trace's text, packed or not.

import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'

export function linesOf(path: string): string[] {
  const bytes = readFileSync(path)
  const text = path.endsWith('.gz') ? gunzipSync(bytes).toString('utf8') : bytes.toString('utf8')
  return text.split(/\r?\n/).filter((line) => line !== '')
}

export function numberOf(text: string | undefined, what: string, line: number): number {
  const value = Number(text)
  if (text === undefined || text === '' || !Number.isFinite(value)) {
    throw new Error(`line ${line}: ${what} is ${JSON.stringify(text ?? '')}, not a number`)
  }
  return value
}

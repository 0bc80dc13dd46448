// Names on the command line, checked before anything is sent.

import { namePattern } from '@drover/protocol/plain'
import { InvalidArgumentError } from 'commander'
import { UsageError } from './failure.ts'

const pattern = new RegExp(namePattern)

export function parseName(text: string): string {
  if (pattern.test(text)) return text
  throw new InvalidArgumentError(
    `${JSON.stringify(text)} is not a name: use 1 to 63 lower-case letters, digits and inner hyphens.`,
  )
}

export function parseNames(text: string, before: string[] = []): string[] {
  return [...before, parseName(text)]
}

/** `K=V`, repeatable. */
export function parsePair(text: string, before: Record<string, string> = {}): Record<string, string> {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError(`${JSON.stringify(text)} is not of the form KEY=VALUE.`)
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) }
}

export function parseSha256(text: string): string {
  if (/^[0-9a-f]{64}$/i.test(text)) return text.toLowerCase()
  throw new InvalidArgumentError(`${JSON.stringify(text)} is not a SHA-256: 64 hex digits.`)
}

/** What --count may ask for at once. */
export const maxCount = 10_000

/** `web` and 3 → web-1, web-2, web-3; without a count the names as they are. */
export function expandNames(names: readonly string[], count: number | undefined): string[] {
  const expanded = count === undefined ? [...names] : numbered(names, count)
  const twice = expanded.find((name, index) => expanded.indexOf(name) !== index)
  if (twice !== undefined) throw new UsageError(`the name ${twice} is given twice`)
  const invalid = expanded.find((name) => !pattern.test(name))
  if (invalid !== undefined) throw new UsageError(`the name ${invalid} is too long: 63 characters at most`)
  return expanded
}

function numbered(names: readonly string[], count: number): string[] {
  const [base, second] = names
  if (base === undefined || second !== undefined) {
    throw new UsageError('--count takes one name, the base of the numbered ones', 'e.g. drover launch web --count 3')
  }
  return Array.from({ length: count }, (_, index) => `${base}-${index + 1}`)
}

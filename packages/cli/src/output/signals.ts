// Signals as people write them: SIGINT, int, 2, SIGRTMIN+3.

import { constants } from 'node:os'
import { InvalidArgumentError } from 'commander'

/** The C library keeps the first two of the kernel's for itself. */
const firstRealTime = 34
const highest = 64

export function parseSignal(text: string): number {
  const name = text.toUpperCase().replace(/^(?!SIG)(?=[A-Z])/, 'SIG')
  const realTime = /^SIGRTMIN(?:\+(\d{1,2}))?$/.exec(name)
  const known: Record<string, number> = constants.signals
  const number = realTime ? firstRealTime + Number(realTime[1] ?? 0) : (known[name] ?? Number(text))
  if (Number.isInteger(number) && number >= 1 && number <= highest && text !== '') return number
  throw new InvalidArgumentError(
    `${JSON.stringify(text)} is no signal: write e.g. SIGINT, SIGRTMIN+3 or a number to 64.`,
  )
}

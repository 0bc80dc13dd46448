// What a move under way tells of itself, as `drover ops watch` does: bytes, rates, rounds, and the blackout that is to be expected. Pure.

import { bytes, shortTime } from './format.js'

const parts = [
  [
    'sent_bytes',
    (value, { bytes_per_s: rate }) => `${bytes(value)} sent${rate === undefined ? '' : ` at ${bytes(rate)}/s`}`,
  ],
  ['dirty_bytes_per_s', (value) => `${bytes(value)}/s written`],
  ['ahead_rounds', (value) => `round ${value}`],
  ['estimated_blackout_ms', (value) => `blackout about ${shortTime(value)}`],
]

/** `120 MiB sent at 95 MiB/s · 12 MiB/s written · round 3 · blackout about 84 ms`, as far as known; empty: nothing is. */
export function describeTransfer({ state, migration }) {
  if (!migration || state !== 'running') return ''
  const { figures, phase } = migration
  const left = phase === 'precopying' && figures.eta_ms !== undefined ? [`${shortTime(figures.eta_ms)} to go`] : []
  const told = parts.filter(([key]) => figures[key] !== undefined).map(([key, words]) => words(figures[key], figures))
  return [...told, ...left].join(' · ')
}

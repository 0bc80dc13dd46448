// A migration in words and figures: which phases are behind it, how long each took, and the blackout. Figures are what both
// sides measured; which ones there are depends on the engine, so unknown ones are shown as they come and missing ones not at all.

import type { MigrationFigures, MigrationPhase, Operation } from '@drover/protocol'
import { formatDuration } from './durations.ts'
import type { Palette } from './palette.ts'
import { formatBytes, formatRate } from './sizes.ts'

/** In order; what comes after `committed` only tidies up. */
const phases: readonly MigrationPhase[] = [
  'planned',
  'preparing',
  'precopying',
  'switching',
  'committed',
  'cleaning',
  'done',
]

const meanings: Partial<Record<MigrationPhase, string>> = {
  preparing: 'destination makes network, mounts and cgroup ready',
  precopying: 'disk is sent while it runs',
  switching: 'frozen: memory and the last changes are sent, and restored',
  committed: 'it runs on the destination',
}

/** Phases that the operation has gone through, each with its length where it is known. */
export function phasesBehind(operation: Operation): { phase: MigrationPhase; ms: number | null }[] {
  const { migration } = operation
  if (!migration) return []
  const reached = phases.indexOf(migration.phase)
  return phases
    .filter(
      (phase, index) => phase in meanings && (index < reached || migration.figures[`phase_${phase}_ms`] !== undefined),
    )
    .map((phase) => ({ phase, ms: migration.figures[`phase_${phase}_ms`] ?? null }))
}

export function describePhase(palette: Palette, { phase, ms }: { phase: MigrationPhase; ms: number | null }): string {
  const took = phase === 'committed' || ms === null ? '' : formatDuration(ms)
  return `  ${palette.green('✓')} ${phase.padEnd(10)} ${took.padStart(8)}  ${palette.dim(meanings[phase] ?? '')}`
}

/** Freeze on the source to release on the destination; null when it wasn't measured (a cold move). */
export function blackoutMs(operation: Operation): number | null {
  return operation.migration?.figures.blackout_ms ?? null
}

/** `blackout 62 ms · 1.2 MiB sent`, as far as known. */
export function describeFigures(figures: MigrationFigures): string[] {
  const { blackout_ms: blackout } = figures
  const bytes = sentBytes(figures)
  return [
    ...(blackout === undefined ? [] : [`blackout ${formatDuration(blackout)}`]),
    ...(bytes === undefined ? [] : [`${formatBytes(bytes)} sent`]),
  ]
}

/** `120 MiB at 95 MiB/s · 12 MiB/s written · round 3 · blackout about 84 ms · 4 s to go`, as far as known; null: nothing is. */
export function describeTransfer({ state, migration }: Operation): string | null {
  if (!migration || state !== 'running') return null
  const figures = migration.figures
  const told = (key: string, words: (value: number) => string) => {
    const value = figures[key]
    return value === undefined ? [] : [words(value)]
  }
  const rate = told('bytes_per_s', (value) => ` at ${formatRate(value)}`).join('')
  const parts = [
    ...told('sent_bytes', (value) => `${formatBytes(value)} sent${rate}`),
    ...told('dirty_bytes_per_s', (value) => `${formatRate(value)} written`),
    ...told('ahead_rounds', (value) => `round ${value}`),
    ...told('estimated_blackout_ms', (value) => `blackout about ${formatDuration(value)}`),
    ...(migration.phase === 'precopying' ? told('eta_ms', (value) => `${formatDuration(value)} to go`) : []),
  ]
  return parts.length === 0 ? null : parts.join(' · ')
}

function sentBytes({ bytes, precopy_bytes: precopy, switch_bytes: rest }: MigrationFigures): number | undefined {
  return bytes ?? (rest === undefined ? precopy : rest + (precopy ?? 0))
}

/** Every figure with its unit, the phases first, in their order: [what, how much]. */
export function listFigures(figures: MigrationFigures): [string, string][] {
  return Object.entries(figures)
    .filter(([key]) => !/Ns$/.test(key))
    .sort(([left], [right]) => phaseOrder(left) - phaseOrder(right) || (left < right ? -1 : 1))
    .map(([key, value]) => {
      if (key.endsWith('_ms')) return [key.slice(0, -3).replaceAll('_', ' '), formatDuration(value)]
      if (/bytes_per_s$/.test(key))
        return [key.slice(0, -'_bytes_per_s'.length).replace(/^$/, 'rate').replaceAll('_', ' '), formatRate(value)]
      if (/bytes$/i.test(key)) return [key.replaceAll('_', ' '), formatBytes(value)]
      return [key.replaceAll('_', ' '), String(value)]
    })
}

function phaseOrder(key: string): number {
  const index = phases.findIndex((phase) => key === `phase_${phase}_ms`)
  return index === -1 ? phases.length : index
}

export function median(values: readonly number[]): number | null {
  if (values.length === 0) return null
  const sorted = [...values].sort((left, right) => left - right)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2
}

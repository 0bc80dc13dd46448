// Bars: how full a host is, and how far an operation has come.

import type { Palette } from './palette.ts'

/** `████░░░░`; at least one block when there is anything at all, and full only when it is. */
export function bar(share: number, width: number): string {
  const bounded = Math.min(1, Math.max(0, share))
  let filled = Math.round(bounded * width)
  if (bounded > 0 && filled === 0) filled = 1
  if (bounded < 1 && filled === width) filled = width - 1
  return '█'.repeat(filled) + '░'.repeat(width - filled)
}

/** A share that turns yellow, then red, as it fills up. */
export function fillBar(palette: Palette, share: number, width: number): string {
  const paint = share >= 0.9 ? palette.red : share >= 0.75 ? palette.yellow : palette.green
  return paint(bar(share, width))
}

export function shareOf(part: number, whole: number): number {
  return whole > 0 ? part / whole : 0
}

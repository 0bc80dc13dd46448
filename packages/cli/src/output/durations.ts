// Times as a person types and reads them.

import { InvalidArgumentError } from 'commander'

const second = 1000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour

const unitMs: Record<string, number> = { ms: 1, s: second, '': second, m: minute, min: minute, h: hour, d: day }

/** `500ms`, `30s`, `5m`, `1h`; a bare number is seconds. */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim())
  const factor = match ? unitMs[(match[2] ?? '').toLowerCase()] : undefined
  if (!match || factor === undefined) {
    throw new InvalidArgumentError(`${JSON.stringify(text)} is not a duration: write e.g. 500ms, 30s, 5m or 1h.`)
  }
  return Math.round(Number(match[1]) * factor)
}

/** How long ago, coarsely: `12s`, `3m`, `5h`, `9d`. */
export function formatAge(sinceMs: number | null, nowMs: number): string {
  if (sinceMs === null) return '–'
  const age = Math.max(0, nowMs - sinceMs)
  if (age < 2 * minute) return `${Math.floor(age / second)}s`
  if (age < 2 * hour) return `${Math.floor(age / minute)}m`
  if (age < 2 * day) return `${Math.floor(age / hour)}h`
  return `${Math.floor(age / day)}d`
}

/** A length of time, finely: `3.2 ms`, `62 ms`, `1.4 s`, `2 min 5 s`. */
export function formatDuration(ms: number): string {
  if (ms < 10) return `${Number(ms.toFixed(1))} ms`
  if (ms < second) return `${Math.round(ms)} ms`
  if (ms < 59_950) return `${Number((ms / second).toFixed(1))} s`
  const seconds = Math.round(ms / second)
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
}

/** Local date and time to the second. */
export function formatTime(atMs: number): string {
  const at = new Date(atMs)
  const two = (value: number) => String(value).padStart(2, '0')
  const date = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`
  return `${date} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`
}

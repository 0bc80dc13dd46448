// What the values of KEY=VALUE settings may be: from words to what is sent, or a refusal that says what would be right.

import type { RestartPolicy } from '@drover/protocol'
import { InvalidArgumentError } from 'commander'
import { parseDuration } from './output/durations.ts'

export function parseCpuList(text: string): string {
  if (/^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(text) && text.length <= 256) return text
  throw new InvalidArgumentError(`${JSON.stringify(text)} is not a list of cores: write e.g. 0-2,5.`)
}

export function parseSwitch(text: string): boolean {
  if (text === 'true' || text === 'false') return text === 'true'
  throw new InvalidArgumentError(`${JSON.stringify(text)} is neither true nor false.`)
}

export function parseOrder(text: string): number {
  const order = /^-?\d{1,4}$/.test(text) ? Number(text) : Number.NaN
  if (order >= -1000 && order <= 1000) return order
  throw new InvalidArgumentError(`${JSON.stringify(text)} is not a whole number from -1000 to 1000.`)
}

/** At most an hour. */
export function parseDelay(text: string): number {
  const match = /^(\d{1,7})(ms|s|m)?$/.exec(text)
  const delayMs = match
    ? Number(match[1]) * { ms: 1, s: 1000, m: 60_000 }[(match[2] ?? 's') as 'ms' | 's' | 'm']
    : Number.NaN
  if (delayMs <= 3_600_000) return delayMs
  throw new InvalidArgumentError(`${JSON.stringify(text)} is not a time of at most an hour: write e.g. 10s or 2m.`)
}

export function parseMemoryPolicy(text: string): string {
  if (text === 'kill' || text === 'freeze') return text
  throw new InvalidArgumentError(`${JSON.stringify(text)} is not a memory policy: write kill or freeze.`)
}

const schedules: Record<string, string> = { hourly: '1h', daily: '1d', weekly: '7d' }

/** `daily`, or `6h` for one every six hours. */
export function parseSchedule(text: string): number {
  const ms = parseDuration(schedules[text] ?? text)
  if (ms >= 60_000 && ms <= 366 * 86_400_000) return ms
  throw new InvalidArgumentError(`${JSON.stringify(text)} is not from 1m to 366d.`)
}

export function parseRestart(text: string): RestartPolicy {
  const match = /^(no|on-failure|always)(?::(\d{1,6}))?$/.exec(text)
  if (match) return { policy: match[1] as RestartPolicy['policy'], most: Number(match[2] ?? 0) }
  throw new InvalidArgumentError(
    `${JSON.stringify(text)} is not a restart policy: write no, on-failure or always, or e.g. always:5.`,
  )
}

const rateUnits: Record<string, number> = { bit: 1, kbit: 1e3, mbit: 1e6, gbit: 1e9 }

/** `100mbit`, `1.5gbit`; a bare number is bits. */
export function parseRate(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmg]?bit)?(?:\/s)?$/i.exec(text.trim())
  const bits = match ? Math.round(Number(match[1]) * (rateUnits[(match[2] ?? 'bit').toLowerCase()] ?? 1)) : 0
  if (!match || bits < 8000 || bits > 1e12) {
    throw new InvalidArgumentError(`${JSON.stringify(text)} is not a rate: write e.g. 100mbit, from 8kbit to 1000gbit.`)
  }
  return bits
}

// Sizes and shares of a core as a person types and reads them. Bytes are binary (MiB); decimal units are taken as what they
// say, and a bare number is bytes, as elsewhere on Linux.

import { InvalidArgumentError } from 'commander'

const units: Record<string, number> = {
  '': 1,
  b: 1,
  k: 2 ** 10,
  ki: 2 ** 10,
  kib: 2 ** 10,
  kb: 1e3,
  m: 2 ** 20,
  mi: 2 ** 20,
  mib: 2 ** 20,
  mb: 1e6,
  g: 2 ** 30,
  gi: 2 ** 30,
  gib: 2 ** 30,
  gb: 1e9,
  t: 2 ** 40,
  ti: 2 ** 40,
  tib: 2 ** 40,
  tb: 1e12,
}

/** `64MiB`, `1.5 GiB`, `512m`, `4096` → bytes. */
export function parseBytes(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim())
  const factor = match ? units[(match[2] ?? '').toLowerCase()] : undefined
  if (!match || factor === undefined) {
    throw new InvalidArgumentError(
      `${JSON.stringify(text)} is not a size: write a number and a unit, e.g. 64MiB or 1.5GiB.`,
    )
  }
  const bytes = Math.round(Number(match[1]) * factor)
  if (!Number.isSafeInteger(bytes)) throw new InvalidArgumentError(`${JSON.stringify(text)} is too large a size.`)
  return bytes
}

/** `50MiB/s`, `10m` → bytes a second. */
export function parseRate(text: string): number {
  return parseBytes(text.trim().replace(/\/s$/i, ''))
}

export const formatRate = (bytesPerS: number): string => `${formatBytes(bytesPerS)}/s`

/** `0.5`, `2`, `250m` (thousandths) → thousandths of a core. */
export function parseCpu(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(m?)$/.exec(text.trim())
  const milli = match ? Math.round(Number(match[1]) * (match[2] ? 1 : 1000)) : 0
  if (!match || milli < 1 || milli > 1_024_000) {
    throw new InvalidArgumentError(
      `${JSON.stringify(text)} is not a share of cores from 0.001 to 1024: write cores, e.g. 0.5, or 500m.`,
    )
  }
  return milli
}

export function parseCount(minimum: number, maximum: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
    if (!(value >= minimum && value <= maximum)) {
      throw new InvalidArgumentError(`${JSON.stringify(text)} is not a whole number from ${minimum} to ${maximum}.`)
    }
    return value
  }
}

const byteUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1023.5 && unit < byteUnits.length - 1) {
    value /= 1024
    unit++
  }
  return `${Number(value.toFixed(value < 10 && unit > 0 ? 1 : 0))} ${byteUnits[unit]}`
}

/** Cores, e.g. `0.1`, `4`. */
export function formatCpu(milli: number): string {
  return String(Number((milli / 1000).toFixed(milli < 100 ? 3 : 2)))
}

/** A share as a person reads it: `12.5 %`. */
export const percent = (share: number): string => `${(100 * share).toFixed(1)} %`

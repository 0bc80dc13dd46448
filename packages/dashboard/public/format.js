// Numbers as a person reads them, and states as tones. Pure.

/** 67108864 → "64 MiB" */
export function bytes(value) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  let unit = 0
  let rest = value
  while (rest >= 1024 && unit < units.length - 1) {
    rest /= 1024
    unit++
  }
  return `${rest >= 100 || Number.isInteger(rest) ? Math.round(rest) : rest.toFixed(1)} ${units[unit]}`
}

/** 1500 → "1.5" cores */
export function cores(cpuMilli) {
  return (cpuMilli / 1000).toFixed(cpuMilli % 1000 === 0 ? 0 : 1)
}

/** 93784000 → "1 d 2 h" */
export function duration(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  const steps = [
    [86400, 'd'],
    [3600, 'h'],
    [60, 'min'],
    [1, 's'],
  ]
  const first = steps.findIndex(([length]) => seconds >= length)
  if (first < 0) return '0 s'
  const [length, unit] = steps[first]
  const next = steps[first + 1]
  const whole = `${Math.floor(seconds / length)} ${unit}`
  if (!next || first === 2) return whole
  const rest = Math.floor((seconds % length) / next[0])
  return rest > 0 ? `${whole} ${rest} ${next[1]}` : whole
}

/** 84 → "84 ms"; from ten seconds on as a duration. */
export function shortTime(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`
  return ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : duration(ms)
}

/** A share of a capacity, 0 to 1. */
export function share(part, whole) {
  return whole > 0 ? Math.min(1, Math.max(0, part / whole)) : 0
}

const tones = {
  running: 'good',
  ready: 'good',
  done: 'good',
  migrating: 'warn',
  cordoned: 'warn',
  pending: 'warn',
  frozen: 'warn',
  deleting: 'warn',
  failed: 'bad',
  unknown: 'bad',
  silent: 'bad',
}

export function tone(state) {
  return Object.hasOwn(tones, state) ? tones[state] : 'plain'
}

/** The text that a search looks into. */
export function searchText(container) {
  const { name, state, host, spec, identity } = container
  return [name, state, host, spec.imageName, identity.ipv4].join(' ').toLowerCase()
}

/** Every word must occur. */
export function matches(container, query) {
  const text = searchText(container)
  return query
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word))
}

// Where each setting of a container comes from: itself, or which of its profiles.

import type { Container, Profile } from '@drover/protocol'

export interface ExpandedSetting {
  key: string
  value: unknown
  /** `container`, or the name of a profile. */
  from: string
}

export function expandedSettings({ spec }: Container, profiles: readonly Profile[]): ExpandedSetting[] {
  const sources = [
    { from: 'container', settings: flat(spec.own ?? {}) },
    ...[...(spec.profiles ?? [])].reverse().map((from) => ({
      from,
      settings: flat(profiles.find(({ name }) => name === from)?.settings ?? {}),
    })),
  ]
  const { requests, limits, restart, autostart, snapshots, devices, security, sysctls, rlimits, lifecycle } = spec
  const now = flat({ requests, limits, restart, autostart, snapshots, devices, security, sysctls, rlimits, lifecycle })
  return [...now]
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([key, value]) => ({
      key,
      value,
      from:
        sources.find(({ settings }) => settings.has(key))?.from ??
        (spec.profiles === undefined ? 'container' : 'usual'),
    }))
    .sort((left, right) => (left.key < right.key ? -1 : 1))
}

/** `limits.pids` → 100. A device and a restart policy are one thing each. */
function flat(settings: object): Map<string, unknown> {
  const all = new Map<string, unknown>()
  for (const [section, value] of Object.entries(settings)) {
    if (value === undefined) continue
    if (section === 'restart') all.set(section, value)
    else for (const [key, each] of Object.entries(value as object)) all.set(`${section}.${key}`, each)
  }
  return all
}

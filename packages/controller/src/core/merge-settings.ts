// Settings upon settings: of profiles, and of what was said of one container alone. Pure.

import type { ContainerSpec, ProfileSettings } from '@drover/protocol'

/** `over` wins, key by key; null stays, since it takes away what is below. */
export function mergeSettings(base: ProfileSettings, over: ProfileSettings): ProfileSettings {
  const merged: Record<string, unknown> = { ...base }
  for (const [section, value] of Object.entries(over)) {
    merged[section] =
      section === 'restart' ? value : { ...(merged[section] as object | undefined), ...(value as object) }
  }
  return merged as ProfileSettings
}

/** What counts as said of it alone when a container that had no profiles is given some: all that it has. */
export function ownOf(spec: ContainerSpec): ProfileSettings {
  if (spec.own !== undefined) return spec.own
  const { requests, limits, restart, autostart, stop, snapshots, devices, security, lifecycle } = spec
  const all = Object.entries({ requests, limits, restart, autostart, stop, snapshots, devices, security, lifecycle })
  return Object.fromEntries(all.filter(([, value]) => value !== undefined))
}

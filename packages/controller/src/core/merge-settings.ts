// Settings upon settings: of profiles, and of what was said of one container alone. Pure.

import {
  type ContainerSpec,
  defaultRequests,
  type ProfileSettings,
  type SetRequest,
  usualMemoryLimitBytes,
} from '@drover/protocol'

/** `over` wins, key by key; null stays, since it takes away what is below. */
export function mergeSettings(base: ProfileSettings, over: ProfileSettings): ProfileSettings {
  const merged: Record<string, unknown> = { ...base }
  for (const [section, value] of Object.entries(over)) {
    merged[section] =
      section === 'restart' ? value : { ...(merged[section] as object | undefined), ...(value as object) }
  }
  return merged as ProfileSettings
}

/** What counts as said of it alone when a container that had no profiles is given some: all that it has, but usual memory. */
export function ownOf(spec: ContainerSpec): ProfileSettings {
  if (spec.own !== undefined) return spec.own
  const { restart, autostart, stop, snapshots, security, lifecycle } = spec
  const { requests, limits } = withoutUsualMemory(spec)
  const { devices, sysctls, rlimits } = spec
  const settings = { requests, limits, restart, autostart, stop, snapshots, devices, security, sysctls, rlimits }
  const all = Object.entries({ ...settings, lifecycle })
  return Object.fromEntries(all.filter(([, value]) => value !== undefined))
}

/** Nobody has said it, so a profile may. */
function withoutUsualMemory({ requests, limits }: ContainerSpec): Pick<ProfileSettings, 'requests' | 'limits'> {
  if (requests.memoryBytes !== defaultRequests.memoryBytes || limits?.memoryBytes !== usualMemoryLimitBytes)
    return { requests, ...(limits === undefined ? {} : { limits }) }
  const { memoryBytes: _asked, ...asked } = requests
  const { memoryBytes: _most, ...most } = limits
  return { requests: asked, limits: most }
}

/** Sections whose keys are names that null takes away. */
type Named = Pick<ContainerSpec, 'devices' | 'sysctls' | 'rlimits'>

/** Those that the change speaks of, as they are with it. */
export function mergeNamed(spec: Named, change: Pick<SetRequest, keyof Named>): Named {
  const { devices, sysctls, rlimits } = change
  return {
    ...(devices === undefined ? {} : { devices: withoutNulls({ ...spec.devices, ...devices }) }),
    ...(sysctls === undefined ? {} : { sysctls: withoutNulls({ ...spec.sysctls, ...sysctls }) }),
    ...(rlimits === undefined ? {} : { rlimits: withoutNulls({ ...spec.rlimits, ...rlimits }) }),
  }
}

export const withoutNulls = <T>(named: Record<string, T | null> = {}): Record<string, T> =>
  Object.fromEntries(Object.entries(named).filter((each): each is [string, T] => each[1] !== null))

// What profiles and a container's own settings make of its spec, and what of that a container can have now: pure.

import {
  type ContainerSpec,
  DroverError,
  defaultAutostart,
  defaultRequests,
  type LaunchRequest,
  type ProfileSettings,
  type Resources,
  wholeSecurity,
} from '@drover/protocol'
import { usuallyLimited, withinLimits } from './apply-set.ts'
import { loadOf, shortage } from './capacity.ts'
import { mergeSettings, withoutNulls } from './merge-settings.ts'
import { askable } from './scheduling-policy.ts'
import { noRestart, type Settings } from './settings.ts'
import type { ClusterState, StoredContainer } from './state.ts'

/** Of the profiles that there are, in their order, and then its own. */
export function expandSettings(state: ClusterState, names: readonly string[], own: ProfileSettings): ProfileSettings {
  const settings = names.map((name) => state.tables.profiles.get(name)?.settings ?? {})
  return [...settings, own].reduce(mergeSettings, {})
}

/** A launch as its profiles and its own words want it, and these words by themselves. */
export function launchWithProfiles<Request extends Omit<LaunchRequest, 'name'>>(
  state: ClusterState,
  request: Request,
): { request: Request; own: ProfileSettings | null } {
  const names = request.profiles ?? []
  if (names.length === 0) return { request, own: null }
  const unknown = names.find((name) => !state.tables.profiles.has(name))
  if (unknown !== undefined) {
    throw new DroverError('PROFILE_NOT_FOUND', `launch: there is no profile ${unknown}`, {
      context: { profile: unknown },
    })
  }
  const own = ownSettings(request)
  const { requests, devices, sysctls, rlimits, ...rest } = expandSettings(state, names, own)
  const named = {
    devices: withoutNulls(devices),
    ...(sysctls === undefined ? {} : { sysctls: withoutNulls(sysctls) }),
    ...(rlimits === undefined ? {} : { rlimits: withoutNulls(rlimits) }),
  }
  return { request: { ...request, ...rest, ...requests, ...named }, own }
}

const sections = [
  'limits',
  'restart',
  'autostart',
  'snapshots',
  'devices',
  'security',
  'sysctls',
  'rlimits',
  'lifecycle',
  'scheduling',
  'environment',
  'labels',
] as const
const requestKeys = ['cpuMilli', 'memoryBytes', 'diskBytes', 'pids'] as const

function ownSettings(request: Omit<LaunchRequest, 'name'>): ProfileSettings {
  const own = Object.fromEntries(sections.flatMap((key) => (request[key] === undefined ? [] : [[key, request[key]]])))
  const requests = requestKeys.flatMap((key) => (request[key] === undefined ? [] : [[key, request[key]]]))
  return requests.length === 0 ? own : { ...own, requests: Object.fromEntries(requests) }
}

/** How it is asked to stop is its own. */
type Reached = Omit<Settings, 'stop'>

/** What its profiles want of it now; environment, labels and scheduling are those of its launch. */
function wantedOf(state: ClusterState, { profiles = [], own = {} }: ContainerSpec): Reached {
  const settings = expandSettings(state, profiles, own)
  const { restart = noRestart, snapshots = {}, security = {}, lifecycle = {} } = settings
  const limits = usuallyLimited(settings.requests, settings.limits ?? {})
  return {
    requests: withinLimits({ ...defaultRequests, ...settings.requests }, limits),
    limits,
    restart,
    autostart: { ...defaultAutostart, ...settings.autostart },
    snapshots,
    devices: withoutNulls(settings.devices),
    security,
    sysctls: withoutNulls(settings.sysctls),
    rlimits: withoutNulls(settings.rlimits),
    lifecycle,
  }
}

export interface ProfileReach {
  /** As it can be now. */
  spec: ContainerSpec
  changed: boolean
  /** What has to wait, and for what. */
  waits: string[]
}

/** Null: it has never had a profile. */
export function profileReach(state: ClusterState, container: StoredContainer): ProfileReach | null {
  const { spec } = container
  if (spec.profiles === undefined) return null
  const wanted = wantedOf(state, spec)
  const waits: string[] = []
  const security = wholeSecurity(spec.security)
  const wantedSecurity = wholeSecurity(wanted.security)
  if (!same(security, wantedSecurity)) {
    if (security.privileged !== wantedSecurity.privileged) waits.push('security.privileged: chosen at launch')
    else if (container.state !== 'stopped') waits.push('security: in force once it is stopped')
    if (waits.length > 0) wanted.security = spec.security ?? {}
  } else wanted.security = spec.security ?? {}
  const short = shortageFor(state, container, wanted.requests)
  if (short !== null) {
    waits.push(`requests: host ${container.host} is too full: ${short}`)
    wanted.requests = spec.requests
  }
  const changed = (Object.keys(wanted) as (keyof Reached)[]).some((key) => !same(plain(key, spec), plain(key, wanted)))
  return { spec: changed ? { ...spec, ...wanted } : spec, changed, waits }
}

/** Absent, empty and usual are alike. */
function plain(key: keyof Reached, spec: Partial<Reached>): unknown {
  if (key === 'restart') return spec.restart ?? noRestart
  if (key === 'autostart') return spec.autostart ?? defaultAutostart
  const set = Object.entries(spec[key] ?? {}).filter(([, value]) => value !== null)
  return Object.fromEntries(set)
}

function shortageFor(state: ClusterState, { spec, host }: StoredContainer, requests: Resources): string | null {
  const growth = Object.fromEntries(
    (Object.keys(requests) as (keyof Resources)[]).map((key) => [key, Math.max(0, requests[key] - spec.requests[key])]),
  ) as Resources
  const known = state.tables.hosts.get(host)
  if (!known || Object.values(growth).every((each) => each === 0)) return null
  return shortage(askable(state, known), loadOf(state, host).requested, growth) ?? null
}

/** Plain data, whatever the order of keys. */
function same(left: unknown, right: unknown): boolean {
  if (left === right) return true
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return false
  const keys = Object.keys(left)
  if (keys.length !== Object.keys(right).length) return false
  return keys.every((key) => same((left as Record<string, unknown>)[key], (right as Record<string, unknown>)[key]))
}

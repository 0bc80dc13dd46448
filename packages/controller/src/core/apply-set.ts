// set: other limits or requests for a container, wherever it is and whether it runs or not. The host is told by its assignment; the
// operation ends when it reports that they are in force, and takes the change back when the host can't.

import {
  contradiction,
  defaultAutostart,
  kernelSettingsProblem,
  type Limits,
  type Operation,
  type Resources,
  type Scheduling,
  type SetRequest,
  usualMemoryLimitBytes,
  wholeSecurity,
} from '@drover/protocol'
import { quotaRefusal } from '@drover/scheduler'
import { refuseBusy } from './apply-power.ts'
import { placeVolumes, resolveVolumes } from './apply-volumes.ts'
import { loadOf, shortage } from './capacity.ts'
import { demandOf } from './demand.ts'
import type { Draft } from './draft.ts'
import type { EntryOf } from './entries.ts'
import { mergeNamed, mergeSettings, ownOf } from './merge-settings.ts'
import { beginOperation, begunBefore } from './operations.ts'
import { askable, projectsOf } from './scheduling-policy.ts'
import { noRestart, type Settings, settingsOf, usualStop } from './settings.ts'
import type { StoredContainer } from './state.ts'

const allowed = ['running', 'stopped', 'frozen', 'failed']

export function applySetRequested(draft: Draft, entry: EntryOf<'SetRequested'>): Operation {
  const before = begunBefore(draft, entry.operation, 'set', entry.container)
  if (before) return before
  const container = draft.containerNamed(entry.container)
  refuseBusy(draft, container, 'set')
  if (!allowed.includes(container.state) || container.deleting) {
    draft.refuse('WRONG_STATE', `set ${container.name}: it is ${container.state}, not ${allowed.join(' or ')}`, {
      container: container.name,
      state: container.state,
    })
  }
  refuseUnknown(draft, container, entry.change)
  refuseSecurity(draft, container, entry.change)
  const change = resolveVolumes(draft, container, entry.change)
  const problem = kernelSettingsProblem(change.sysctls, change.rlimits)
  if (problem !== null) draft.refuse('BAD_REQUEST', `set ${container.name}: ${problem}`)
  const spec = changed(container.spec, change)
  refuseShortage(draft, container, spec.requests)
  refuseQuota(draft, container, spec)
  placeVolumes(draft, { spec, host: container.host })
  // Whether its host holds it to its lease is to be heard anew.
  const { leasedEpoch, ...rest } = container
  const lease = leasedEpoch === undefined || entry.change.scheduling?.heal !== undefined ? {} : { leasedEpoch }
  draft.reassign({ ...rest, ...lease, spec, operation: entry.operation })
  return beginOperation(draft, {
    id: entry.operation,
    kind: 'set',
    target: container.name,
    phase: 'changing',
    message: `on ${container.host}`,
    parameters: {
      container: container.id,
      host: container.host,
      starts: container.starts,
      before: {
        ...settingsOf(container.spec),
        ...(container.spec.own === undefined ? {} : { own: container.spec.own }),
        ...(container.spec.profiles === undefined ? {} : { profiles: container.spec.profiles }),
        scheduling: container.spec.scheduling ?? {},
      },
    },
  })
}

/** Before the operation ends without success: the container is to have again what it had. */
export function takeBack(draft: Draft, operation: Operation): void {
  if (operation.kind !== 'set') return
  const container = draft.state.tables.containers.get(String(operation.parameters.container))
  const before = operation.parameters.before as
    | Pick<StoredContainer['spec'], keyof Settings | 'own' | 'profiles' | 'scheduling'>
    | undefined
  if (container && before) draft.reassign({ ...container, spec: { ...container.spec, ...before } })
}

/** Nobody can use more than its limit, so it needn't ask for more: requests above a limit come down to it. */
export function withinLimits(requests: Resources, limits: Limits): Resources {
  const least = (request: number, limit: number | null | undefined) => Math.min(request, limit ?? request)
  return {
    ...requests,
    cpuMilli: least(requests.cpuMilli, limits.cpuMilli),
    memoryBytes: least(requests.memoryBytes, limits.memoryBytes),
    diskBytes: least(requests.diskBytes, limits.diskBytes),
    pids: least(requests.pids, limits.pids),
  }
}

/** Who says neither what it asks for nor its limit has the usual limit, far above what it is placed by. */
export function usuallyLimited(said: Partial<Resources> | undefined, limits: Limits): Limits {
  return said?.memoryBytes === undefined && limits.memoryBytes == null
    ? { ...limits, memoryBytes: usualMemoryLimitBytes }
    : limits
}

function changed(spec: StoredContainer['spec'], change: SetRequest): StoredContainer['spec'] {
  const limits = { ...spec.limits, ...change.limits }
  const restart = change.restart ?? spec.restart ?? noRestart
  const autostart = { ...(spec.autostart ?? defaultAutostart), ...change.autostart }
  const stop = { ...usualStop, ...spec.stop, ...change.stop }
  const snapshots = { ...spec.snapshots, ...change.snapshots }
  const requests = withinLimits({ ...spec.requests, ...change.requests }, limits)
  const security = change.security === undefined ? {} : { security: { ...spec.security, ...change.security } }
  const scheduling = rules(spec.scheduling, change.scheduling)
  const lifecycle = change.lifecycle === undefined ? {} : { lifecycle: { ...spec.lifecycle, ...change.lifecycle } }
  const { profiles = spec.profiles, scheduling: _rules, ...settings } = change
  const own = profiles === undefined ? {} : { profiles, own: mergeSettings(ownOf(spec), settings) }
  const limited = { ...spec, limits, restart, autostart, stop, snapshots, requests }
  const rest = { ...limited, ...security, ...lifecycle, ...own, ...scheduling }
  return { ...rest, ...mergeNamed(spec, change) }
}

/** It is in force from a start on, and files are owned for a privileged container or for another. */
function refuseSecurity(draft: Draft, { name, state, spec }: StoredContainer, { security }: SetRequest): void {
  if (security === undefined) return
  const [has, wants] = [wholeSecurity(spec.security), wholeSecurity({ ...spec.security, ...security })]
  if (JSON.stringify(has) === JSON.stringify(wants)) return
  if (has.privileged !== wants.privileged) {
    draft.refuse('BAD_REQUEST', `set ${name}: security.privileged is chosen at launch: its files are owned accordingly`)
  }
  const contradicts = contradiction(wants)
  if (contradicts !== null) draft.refuse('BAD_REQUEST', `set ${name}: security: ${contradicts}`)
  if (state === 'running' || state === 'frozen') {
    draft.refuse('WRONG_STATE', `set ${name}: it is ${state}; stop it first: its security is in force from a start on`)
  }
}

/** Null takes a rule away. */
function rules(
  before: Scheduling | undefined,
  change: SetRequest['scheduling'],
): Pick<StoredContainer['spec'], 'scheduling'> {
  if (change === undefined) return {}
  const merged = Object.entries({ ...before, ...change }).filter(([, value]) => value !== null)
  return { scheduling: Object.fromEntries(merged) as Scheduling }
}

/** Another project must have room for it. */
function refuseQuota(draft: Draft, { name, spec: before }: StoredContainer, spec: StoredContainer['spec']): void {
  const project = spec.scheduling?.project
  if (project === undefined || project === before.scheduling?.project) return
  const demand = { ...demandOf({ name, spec }, { host: null, excluded: [], live: false }), project }
  const refusal = quotaRefusal(projectsOf(draft.state, []), demand)
  if (refusal) draft.refuse('NO_CAPACITY', `set ${name}: ${refusal.detail}`, { container: name, project })
}

/** What is to be removed must be there: a wrong name is no success. */
function refuseUnknown(draft: Draft, container: StoredContainer, change: SetRequest): void {
  const profile = change.profiles?.find((name) => !draft.state.tables.profiles.has(name))
  if (profile !== undefined)
    draft.refuse('PROFILE_NOT_FOUND', `set ${container.name}: there is no profile ${profile}`, { profile })
  const unknown = Object.entries(change.devices ?? {}).find(
    ([name, device]) => device === null && container.spec.devices?.[name] === undefined,
  )
  if (unknown)
    draft.refuse('DEVICE_NOT_FOUND', `set ${container.name}: it has no device ${unknown[0]}`, { device: unknown[0] })
}

/** What it asks for more must be free on its host: it isn't moved for it. */
function refuseShortage(draft: Draft, container: StoredContainer, requests: Resources): void {
  const before = container.spec.requests
  const more = (key: keyof Resources) => Math.max(0, requests[key] - before[key])
  const growth = {
    cpuMilli: more('cpuMilli'),
    memoryBytes: more('memoryBytes'),
    diskBytes: more('diskBytes'),
    pids: more('pids'),
  }
  // What it gave up is asked for when it starts again.
  if (container.preempted !== undefined) Object.assign(growth, { cpuMilli: 0, memoryBytes: 0, pids: 0 })
  if (Object.values(growth).every((each) => each === 0)) return
  const short = shortage(
    askable(draft.state, draft.host(container.host)),
    loadOf(draft.state, container.host).requested,
    growth,
  )
  if (!short) return
  draft.refuse('NO_CAPACITY', `set ${container.name}: host ${container.host} is too full for it: ${short}`, {
    container: container.name,
    host: container.host,
  })
}

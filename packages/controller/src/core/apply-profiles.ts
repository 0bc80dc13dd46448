// Profiles: made, changed, removed; and a container that is given what its profiles say now. The first is done at once; the second follows for
// each container by an entry of its own, when nothing else is under way on it (planner-profiles.ts).

import { maxProfiles, type Operation, type Profile } from '@drover/protocol'
import type { Draft } from './draft.ts'
import type { EntryOf } from './entries.ts'
import { mergeSettings } from './merge-settings.ts'
import { beginOperation, begunBefore, endOperation } from './operations.ts'
import { profileReach } from './profiles.ts'

export function applyProfileChanged(draft: Draft, entry: EntryOf<'ProfileChanged'>): Operation {
  const before = begunBefore(draft, entry.operation, 'profile-set', entry.name)
  if (before) return before
  const { name, action } = entry
  const profile = draft.state.tables.profiles.get(name)
  const doing = `${action} profile ${name}`
  refuseVolumes(draft, doing, entry.request)
  if (action === 'create') {
    if (profile) draft.refuse('NAME_TAKEN', `${doing}: there is one`, { profile: name })
    if (draft.state.tables.profiles.size >= maxProfiles)
      draft.refuse('LIMIT_REACHED', `${doing}: there are ${maxProfiles} profiles, the limit`)
    put(draft, entry, { name, description: '', settings: {}, revision: draft.index })
  } else if (!profile) {
    return draft.refuse('PROFILE_NOT_FOUND', `${doing}: there is none`, { profile: name })
  } else if (action === 'remove') {
    refuseInUse(draft, name)
    draft.write({ table: 'profiles', key: name, value: null })
  } else {
    if (entry.request.ifRevision !== undefined && entry.request.ifRevision !== profile.revision)
      draft.refuse('BUSY', `${doing}: somebody has changed it since revision ${entry.request.ifRevision}`)
    put(draft, entry, profile)
  }
  const message = { create: 'made', change: 'changed', remove: 'removed' }[action]
  draft.event(`profile.${message}`, name, `profile ${name} was ${message}`, entry.operation)
  const facts = { id: entry.operation, kind: 'profile-set', target: name, phase: 'changing', message } as const
  return endOperation(draft, beginOperation(draft, facts), { state: 'done', message, error: null })
}

export function applyProfilesReached(draft: Draft, { container: id }: EntryOf<'ProfilesReached'>): null {
  const container = draft.state.tables.containers.get(id)
  if (!container || container.operation !== null || container.deleting) return null
  const reach = profileReach(draft.state, container)
  if (!reach?.changed) return null
  draft.reassign({ ...container, spec: reach.spec })
  const message = `${container.name} has what its profiles say: ${container.spec.profiles?.join(', ')}`
  draft.event('container.changed', container.name, message, null)
  return null
}

function put(draft: Draft, { request }: EntryOf<'ProfileChanged'>, profile: Profile): void {
  const given = request.settings ?? {}
  const settings = request.replace ? given : mergeSettings(profile.settings, given)
  const description = request.description ?? profile.description
  draft.write({
    table: 'profiles',
    key: profile.name,
    value: { ...profile, description, settings, revision: draft.index },
  })
}

/** One container alone may have a volume. */
function refuseVolumes(draft: Draft, doing: string, { settings }: EntryOf<'ProfileChanged'>['request']): void {
  const named = Object.entries(settings?.devices ?? {}).find(([, device]) => device?.type === 'volume')
  if (!named) return
  draft.refuse('BAD_REQUEST', `${doing}: device ${named[0]} is a volume, which one container alone may have`)
}

function refuseInUse(draft: Draft, name: string): void {
  const users = [...draft.state.tables.containers.values()]
    .filter(({ spec }) => spec.profiles?.includes(name))
    .map((container) => container.name)
    .sort()
  if (users.length === 0) return
  const shown = `${users.slice(0, 3).join(', ')}${users.length > 3 ? ` and ${users.length - 3} more` : ''}`
  draft.refuse('WRONG_STATE', `remove profile ${name}: ${shown} use it`, { profile: name })
}

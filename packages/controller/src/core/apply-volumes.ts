// Volumes: made and removed as records alone. The directory is made by the host of the first container that has it, moves with the container that has
// it, and is removed by the host that reports it once it counts no more (volumes.ts): so no entry waits for a host.

import { type Device, maxVolumes, type Operation, type SetRequest, type Volume } from '@drover/protocol'
import type { Draft } from './draft.ts'
import type { EntryOf } from './entries.ts'
import { beginOperation, begunBefore, endOperation } from './operations.ts'
import type { ClusterState, StoredContainer } from './state.ts'
import { arrivingCopy, holderOf, volumeDevices, volumeNamed } from './volumes.ts'

export function applyVolumeChanged(draft: Draft, entry: EntryOf<'VolumeChanged'>): Operation {
  const before = begunBefore(draft, entry.operation, 'volume-set', entry.name)
  if (before) return before
  const { name, action, request } = entry
  const volume = volumeNamed(draft.state, name)
  const doing = `${action} volume ${name}`
  if (action === 'create') {
    if (volume) draft.refuse('NAME_TAKEN', `${doing}: there is one`, { volume: name })
    if (draft.state.tables.volumes.size >= maxVolumes)
      draft.refuse('LIMIT_REACHED', `${doing}: there are ${maxVolumes} volumes, the limit`)
    const made = { id: `v${draft.index}`, name, description: request.description ?? '', host: null, copy: 0 }
    put(draft, { ...made, made: false, createdAtMs: draft.atMs, revision: draft.index })
  } else if (!volume) {
    return draft.refuse('VOLUME_NOT_FOUND', `${doing}: there is none`, { volume: name })
  } else {
    const holder = holderOf(draft.state, volume.id)
    if (holder) {
      const hint = `take it away first: drover volume detach ${name}`
      draft.refuse('VOLUME_IN_USE', `${doing}: ${holder.name} has it; ${hint}`, { volume: name, holder: holder.name })
    }
    draft.write({ table: 'volumes', key: volume.id, value: null })
  }
  const message = action === 'create' ? 'made' : 'deleted'
  draft.event(`volume.${message}`, name, `volume ${name} was ${message}`, entry.operation)
  const facts = { id: entry.operation, kind: 'volume-set', target: name, phase: 'changing', message } as const
  return endOperation(draft, beginOperation(draft, facts), { state: 'done', message, error: null })
}

/** The change with the ids of its volumes, which must be there, free, and on the container's host or nowhere yet. Refuses; writes nothing. */
export function resolveVolumes(draft: Draft, container: StoredContainer, change: SetRequest): SetRequest {
  if (change.devices === undefined) return change
  const devices: NonNullable<SetRequest['devices']> = {}
  for (const [name, device] of Object.entries(change.devices))
    devices[name] = device?.type === 'volume' ? resolve(draft, container, device) : device
  const after = { ...container.spec.devices, ...devices }
  const ids = Object.values(after).flatMap((device) => (device?.type === 'volume' ? [device.volume] : []))
  const twice = ids.find((id, at) => ids.indexOf(id) !== at)
  if (twice !== undefined) draft.refuse('VOLUME_IN_USE', `set ${container.name}: it would have volume ${twice} twice`)
  return { ...change, devices }
}

function resolve(draft: Draft, container: StoredContainer, device: Extract<Device, { type: 'volume' }>): Device {
  const volume = volumeNamed(draft.state, device.volume)
  const doing = `give volume ${device.volume} to ${container.name}`
  if (!volume) return draft.refuse('VOLUME_NOT_FOUND', `${doing}: there is none`, { volume: device.volume })
  const holder = holderOf(draft.state, volume.id)
  if (holder && holder.id !== container.id) {
    const hint = `take it away there first: drover volume detach ${volume.name}`
    draft.refuse('VOLUME_IN_USE', `${doing}: ${holder.name} has it; ${hint}`, { volume: volume.name })
  }
  if (volume.host !== null && volume.host !== container.host) {
    const hint = `drover move ${container.name} ${volume.host} first; from then on the volume moves along`
    draft.refuse(
      'VOLUME_ELSEWHERE',
      `${doing}: it is on ${volume.host}, ${container.name} on ${container.host}; ${hint}`,
      {
        volume: volume.name,
        host: volume.host,
      },
    )
  }
  return { ...device, id: volume.id }
}

/** Those that were nowhere are where their container is. */
export function placeVolumes(draft: Draft, { spec, host }: Pick<StoredContainer, 'spec' | 'host'>): void {
  for (const volume of volumesOf(draft.state, spec))
    if (volume.host === null) put(draft, { ...volume, host, copy: draft.index })
}

/** A container has had them: from now on a missing directory is a loss. */
export function volumesMade(draft: Draft, { spec }: Pick<StoredContainer, 'spec'>): void {
  for (const volume of volumesOf(draft.state, spec)) if (!volume.made) put(draft, { ...volume, made: true })
}

/** Committed with the move of their container: what has arrived is what counts. */
export function volumesMoved(draft: Draft, { spec }: StoredContainer, operation: string, host: string): void {
  const copy = arrivingCopy(draft.state, operation)
  for (const volume of volumesOf(draft.state, spec))
    put(draft, { ...volume, host, made: true, copy: copy ?? volume.copy })
}

/** With a host that is gone for good. Gives back how the operation names them. */
export function loseVolumes(draft: Draft, host: string, operation: string): string[] {
  return volumesOn(draft.state, host).map(({ id, name }) => {
    draft.write({ table: 'volumes', key: id, value: null })
    draft.event('volume.lost', name, `volume ${name} was lost with host ${host}`, operation)
    return `volume ${name}`
  })
}

export const volumesOn = (state: ClusterState, host: string): Volume[] =>
  [...state.tables.volumes.values()]
    .filter((volume) => volume.host === host)
    .sort((left, right) => (left.name < right.name ? -1 : 1))

function volumesOf(state: ClusterState, { devices }: StoredContainer['spec']): Volume[] {
  return volumeDevices(devices).flatMap(([, { id = '' }]) => state.tables.volumes.get(id) ?? [])
}

const put = (draft: Draft, volume: Volume): void =>
  draft.write({ table: 'volumes', key: volume.id, value: { ...volume, revision: draft.index } })

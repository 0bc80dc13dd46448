// Who has which volume, by what is committed. A container has a volume from the entry that gives it the device until its host has said that it
// is taken away, or the container is no more: a change under way may be taken back, so until it ends both what was and what will be counts.

import type { AssignedVolumes, ContainerSpec, Device, Devices, Volume, VolumeCopy, VolumeView } from '@drover/protocol'
import type { ClusterState, StoredContainer } from './state.ts'

type VolumeDevice = Extract<Device, { type: 'volume' }>

export function volumeDevices(devices: Devices = {}): [name: string, device: VolumeDevice][] {
  return Object.entries(devices).filter((each): each is [string, VolumeDevice] => each[1].type === 'volume')
}

export const hasVolumes = ({ devices }: ContainerSpec): boolean => volumeDevices(devices).length > 0

export function volumeNamed(state: ClusterState, name: string): Volume | undefined {
  for (const volume of state.tables.volumes.values()) if (volume.name === name) return volume
  return undefined
}

/** The container that has it; null: none. */
export function holderOf(state: ClusterState, id: string): StoredContainer | null {
  for (const container of state.tables.containers.values()) if (holds(state, container, id)) return container
  return null
}

export function holds(state: ClusterState, container: StoredContainer, id: string): boolean {
  const has = (devices: Devices | undefined) => volumeDevices(devices).some(([, device]) => device.id === id)
  if (has(container.spec.devices)) return true
  const operation = container.operation === null ? undefined : state.tables.operations.get(container.operation)
  if (operation?.kind !== 'set' || operation.state !== 'running') return false
  return has((operation.parameters.before as { devices?: Devices } | undefined)?.devices)
}

/** Which directories stand for them: at a destination those that arrive, everywhere else those that count. */
export function assignedVolumes(
  state: ClusterState,
  { spec, operation }: StoredContainer,
  side: 'destination' | 'owner',
): AssignedVolumes {
  const arriving = operation === null ? undefined : arrivingCopy(state, operation)
  const assigned: AssignedVolumes = {}
  for (const [, { id }] of volumeDevices(spec.devices)) {
    const volume = id === undefined ? undefined : state.tables.volumes.get(id)
    if (!volume) continue
    const copy = side === 'destination' && arriving !== undefined ? arriving : volume.copy
    assigned[volume.id] = { copy, fresh: side === 'owner' && !volume.made }
  }
  return assigned
}

/** The log index that names the copies that a move makes. */
export function arrivingCopy(state: ClusterState, operation: string): number | undefined {
  const copy = state.tables.operations.get(operation)?.parameters.volumeCopy
  return typeof copy === 'number' ? copy : undefined
}

/** Of the directories that a host has reported, those that can never count again: of a deleted volume, of before a move, of one that came to nothing. */
export function volumesToDrop(state: ClusterState, reported: readonly VolumeCopy[] = []): VolumeCopy[] {
  if (reported.length === 0) return []
  const arriving = new Set([...state.running].map((id) => arrivingCopy(state, id)))
  return reported.filter(({ id, copy }) => {
    const volume = state.tables.volumes.get(id)
    // Of a state that was lost, or of another cluster: not ours to judge.
    if (Number(id.slice(1)) > state.index || copy > state.index) return false
    return !volume || (volume.copy !== copy && !arriving.has(copy))
  })
}

export function volumeViews(state: ClusterState): VolumeView[] {
  const holders = new Map<string, Pick<VolumeView, 'container' | 'device' | 'path' | 'readonly'>>()
  for (const { name, spec } of state.tables.containers.values()) {
    for (const [device, { id = '', path, readonly = false }] of volumeDevices(spec.devices))
      holders.set(id, { container: name, device, path, readonly })
  }
  const nobody = { container: null, device: null, path: null, readonly: false }
  return [...state.tables.volumes.values()]
    .map((volume) => ({ ...volume, ...(holders.get(volume.id) ?? nobody) }))
    .sort((left, right) => (left.name < right.name ? -1 : 1))
}

/** For a container that begins with what another one is or was: volumes are not copied. */
export function withoutVolumes(spec: ContainerSpec): ContainerSpec {
  const { devices, own } = spec
  const rest = devices === undefined ? spec : { ...spec, devices: otherDevices(devices) }
  if (own?.devices === undefined) return rest
  const kept = Object.entries(own.devices).filter(([, device]) => device?.type !== 'volume')
  return { ...rest, own: { ...own, devices: Object.fromEntries(kept) } }
}

const otherDevices = (devices: Devices): Devices =>
  Object.fromEntries(Object.entries(devices).filter(([, { type }]) => type !== 'volume'))

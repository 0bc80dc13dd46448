// Which containers of a lost host may be started elsewhere, by what is committed. Two things must be so: somebody has said that it may
// begin again from its image, and nothing of it runs there any more: either its engine was known to hold it to the host's lease, which
// is over, or somebody is sure that the host is dead.

import { pinsOf } from '@drover/protocol'
import { policyOf } from './scheduling-policy.ts'
import type { ClusterState, StoredContainer } from './state.ts'
import { volumeDevices } from './volumes.ts'

/** In words; null: it may be. Of a container on a host that isn't lost: that. */
export function whyNotHealed(state: ClusterState, container: StoredContainer): string | null {
  const { host, deleting, desired, spec, epoch, leasedEpoch, preempted } = container
  const loss = state.tables.losses.get(host)
  if (!loss) return `host ${host} is not lost`
  if (deleting) return 'it is being deleted'
  if (desired === 'stopped' && !preempted?.resumes) return `it is stopped; its disk is on ${host}`
  const pins = pinsOf(spec.devices)
  if (pins.length > 0) return `devices pin it to ${host}`
  const [volume] = volumeDevices(spec.devices)
  if (volume !== undefined) return `its volume ${volume[1].volume} is on ${host}`
  const wished = spec.scheduling?.heal ?? 'wait'
  if (wished === 'wait' && !(loss.sure && loss.fresh))
    return `it waits for host ${host}, which has its disk (heal=wait)`
  if (!loss.sure && leasedEpoch !== epoch)
    return `it may still run on ${host}, which had not confirmed that it would freeze it; if it is dead: drover host lost ${host} --i-am-sure`
  if (imageHolders(state, spec.image).length === 0)
    return `its image ${spec.imageName} is only on hosts that are silent`
  return null
}

/** Heard hosts that have the image. */
const imageHolders = (state: ClusterState, digest: string): string[] =>
  [...state.tables.hosts.values()]
    .filter(({ name, images }) => images.includes(digest) && !state.tables.silences.has(name))
    .map(({ name }) => name)

/** Images that `host` is to hold although nothing of it runs there: what may begin anew needs its image on a second host. */
export function imagesToKeep(state: ClusterState, host: string): string[] {
  const wanted = new Set<string>()
  for (const { spec, deleting } of state.tables.containers.values())
    if (spec.scheduling?.heal === 'fresh' && !deleting) wanted.add(spec.image)
  return [...wanted].sort().filter((digest) => {
    const holders = imageHolders(state, digest)
    if (holders.length !== 1) return holders.includes(host)
    const [second] = [...state.tables.hosts.values()]
      .filter(({ name, cordoned }) => !cordoned && !holders.includes(name) && !state.tables.silences.has(name))
      .map(({ name }) => name)
      .sort()
    return host === second || holders.includes(host)
  })
}

/** It goes on without anybody asking. */
export const healsByItself = (state: ClusterState, host: string): boolean =>
  state.tables.losses.get(host)?.sure === true || policyOf(state).healing?.mode !== 'off'

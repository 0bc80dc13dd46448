// Which containers of a lost host may be started elsewhere, by what is committed. Two things must be so: somebody has said that it may
// begin again from its image, and nothing of it runs there any more: either its engine was known to hold it to the host's lease, which
// is over, or somebody is sure that the host is dead.

import { pinsOf } from '@drover/protocol'
import { policyOf } from './scheduling-policy.ts'
import type { ClusterState, StoredContainer } from './state.ts'

/** In words; null: it may be. Of a container on a host that isn't lost: that. */
export function whyNotHealed(state: ClusterState, container: StoredContainer): string | null {
  const { host, deleting, desired, spec, epoch, leasedEpoch } = container
  const loss = state.tables.losses.get(host)
  if (!loss) return `host ${host} is not lost`
  if (deleting) return 'it is being deleted'
  if (desired === 'stopped') return `it is stopped; its disk is on ${host}`
  const pins = pinsOf(spec.devices)
  if (pins.length > 0) return `devices pin it to ${host}`
  const wished = spec.scheduling?.heal ?? 'wait'
  if (wished === 'wait' && !(loss.sure && loss.fresh))
    return `it waits for host ${host}, which has its disk (heal=wait)`
  if (!loss.sure && leasedEpoch !== epoch)
    return `it may still run on ${host}, which had not confirmed that it would freeze it; if it is dead: drover host lost ${host} --i-am-sure`
  return null
}

/** It goes on without anybody asking. */
export const healsByItself = (state: ClusterState, host: string): boolean =>
  state.tables.losses.get(host)?.sure === true || policyOf(state).healing?.mode !== 'off'

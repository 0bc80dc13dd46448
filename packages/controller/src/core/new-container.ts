// A container in the state in which every one begins: of a launch, a copy, an import; and again after a rebuild or a healing.

import type { ContainerSpec, Identity, Placement, PowerState } from '@drover/protocol'
import type { Draft } from './draft.ts'
import type { StoredContainer } from './state.ts'
import { withoutVolumes } from './volumes.ts'

export interface Beginnings {
  name: string
  spec: ContainerSpec
  identity: Identity
  host: string
  placement: Placement
  operation: string
}

export function newContainer(
  { atMs, index }: Draft,
  { name, spec, identity, host, placement, operation }: Beginnings,
  desired: PowerState,
): StoredContainer {
  return {
    id: `c${identity.serial}`,
    name,
    spec: withoutVolumes(spec),
    identity,
    desired,
    deleting: false,
    host,
    epoch: 1,
    state: 'pending',
    message: null,
    initPid: null,
    startedAtMs: null,
    starts: 0,
    operation,
    placement,
    createdAtMs: atMs,
    revision: index,
    assignedRevision: index,
    stopTimeoutMs: null,
  }
}

/** As before its first start, under a new epoch: what its host has said of it until now doesn't hold any more. */
export function begunAnew(container: StoredContainer, epoch: number): StoredContainer {
  const { leasedEpoch: _lease, firstBoot: _told, ...kept } = container
  return { ...kept, epoch, state: 'pending', message: null, initPid: null, startedAtMs: null, starts: 0 }
}

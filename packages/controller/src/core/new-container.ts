// A container in the state in which every one begins: of a launch, a copy, an import.

import type { ContainerSpec, Identity, Placement, PowerState } from '@drover/protocol'
import type { Draft } from './draft.ts'
import type { StoredContainer } from './state.ts'

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
    spec,
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

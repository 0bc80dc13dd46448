// A launch: the plan was made by the proposer against a state that may be older, so what it relied on is checked again here.

import type { Operation, Resources } from '@drover/protocol'
import { quotaRefusal } from '@drover/scheduler'
import { allocateIdentity } from './allocate.ts'
import { loadOf, shortage } from './capacity.ts'
import { demandOf } from './demand.ts'
import type { Draft } from './draft.ts'
import type { EntryOf } from './entries.ts'
import { newContainer } from './new-container.ts'
import { type Beginning, beginOperation, begunBefore } from './operations.ts'
import { promisedRoom } from './promised-room.ts'
import { askable, policyOf, projectsOf } from './scheduling-policy.ts'
import { hasVolumes } from './volumes.ts'

export function applyContainerLaunched(draft: Draft, entry: EntryOf<'ContainerLaunched'>): Operation {
  const before = begunBefore(draft, entry.operation, 'launch', entry.name)
  const promised = before === undefined ? null : promisedRoom(before)
  if (before && promised === null) return before
  const { name, spec } = entry
  if (draft.state.idsByName.has(name)) {
    draft.refuse('NAME_TAKEN', `launch ${name}: a container of that name exists`, { container: name })
  }
  if (hasVolumes(spec)) {
    const hint = `launch it, then drover volume attach VOLUME ${name} PATH`
    draft.refuse('BAD_REQUEST', `launch ${name}: volumes are given to a container that is there: ${hint}`, {
      container: name,
    })
  }
  checkRoom(draft, entry.host, spec.requests, `launch ${name}`, entry.operation)
  checkQuota(draft, entry)
  const identity = allocateIdentity(draft, entry)
  const id = `c${identity.serial}`
  draft.write({ table: 'counters', key: 'counters', value: { nextSerial: identity.serial + 1 } })
  draft.reassign(newContainer(draft, { ...entry, identity }, entry.start === false ? 'stopped' : 'running'))
  const begun = {
    phase: 'creating',
    message: `on ${entry.host}`,
    parameters: { container: id, host: entry.host, starts: 0 },
  }
  const operation = before
    ? goOn(draft, before, begun)
    : beginOperation(draft, { id: entry.operation, kind: 'launch', target: name, ...begun })
  draft.event(
    'container.launched',
    name,
    `${name} was placed on ${entry.host}: ${entry.placement.reason}`,
    entry.operation,
  )
  return operation
}

/** The room is there. */
function goOn(
  draft: Draft,
  operation: Operation,
  { phase, message, parameters }: Pick<Beginning, 'phase' | 'message' | 'parameters'>,
) {
  const progress = { done: 0, total: 1, message }
  return draft.putOperation({ ...operation, phase, progress, parameters: { ...parameters, phaseSinceMs: draft.atMs } })
}

/** Launches that were planned at the same time may each have had room in the project. */
/** Refuses with PLACEMENT_STALE when its project has no more to give. */
export function checkQuota(draft: Draft, { name, spec }: Pick<EntryOf<'ContainerLaunched'>, 'name' | 'spec'>): void {
  const project = spec.scheduling?.project
  if (project === undefined || !Object.hasOwn(policyOf(draft.state).projects, project)) return
  const refusal = quotaRefusal(projectsOf(draft.state, []), {
    ...demandOf({ name, spec }, { host: null, excluded: [], live: false }),
    project,
  })
  if (refusal) draft.refuse('PLACEMENT_STALE', `launch ${name}: ${refusal.detail}`, { project })
}

/** Refuses with PLACEMENT_STALE when the host was closed or filled since the plan; what `operation` was promised doesn't count. */
export function checkRoom(
  draft: Draft,
  hostName: string,
  requests: Resources,
  doing: string,
  operation: string | null = null,
): void {
  const host = draft.host(hostName)
  if (host.cordoned) {
    draft.refuse('PLACEMENT_STALE', `${doing}: host ${hostName} was cordoned since`, { host: hostName })
  }
  const short = shortage(askable(draft.state, host), loadOf(draft.state, hostName, operation).requested, requests)
  if (short) draft.refuse('PLACEMENT_STALE', `${doing}: host ${hostName} has filled up: ${short}`, { host: hostName })
}
